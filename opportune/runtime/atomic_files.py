"""Files that are there whole or not at all."""

import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

from opportune.errors import OperatorError

# Another's symbolic link in a shared folder must not lead us elsewhere.
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
TEMPORARY = ".opportune.tmp"
"""Ends the names of temporary files, so that files of others are never taken for abandoned ones."""
LOCK = "lock"


def temporary(path: Path, part: str = "") -> Path:
    """Return the temporary name for writing `path`. The lock of that file also protects the names with a `part`."""
    return path.with_name(f"{path.name}{TEMPORARY}{part and f'.{part}'}")


@contextmanager
def private_file(path: Path, *, lock: bool = True) -> Iterator[BinaryIO]:
    """An empty file for this user alone, which is gone when the block ends unless it got another name.

    What a killed process has left by that name is used up. Without `lock` for a file that SQLite opens: some systems
    take its locks and ours for the same.

    Raises:
        OperatorError: another process is at it.
    """
    with open(os.open(path, FLAGS, 0o600), "r+b") as file:
        if lock and not _lock_at(path, file):
            raise OperatorError(f"Another process is writing {path}: wait for it, then run this again.")
        if sys.platform != "win32" and os.fstat(file.fileno()).st_uid != os.geteuid():
            raise OperatorError(f"{path} belongs to another user, who could read what is written: remove it.")
        try:
            file.truncate()
            path.chmod(0o600)
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    path.unlink(missing_ok=True)


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A folder among the system's temporary ones. Those that killed processes have left there are removed."""
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # another user's
            if _is_abandoned(old / LOCK):
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, private_file(Path(name) / LOCK):
        yield Path(name)


@contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """A private file that takes the place of `path` when the block ends well: `temporary(path)` until then."""
    new = temporary(path)
    with private_file(new) as file:
        yield file
        sync(file)
        put(new, path)


def unused(path: Path) -> Path:
    """Return the path, or else the first of `path-2`, `path-3` … that is not taken."""
    names = (path.with_name(f"{path.name}-{number}") for number in count(2))
    return next(each for each in chain([path], names) if not os.path.lexists(each))


def put(new: Path, path: Path) -> None:
    """Let a synced file take the place of another, also if the power fails."""
    new.replace(path)
    sync_folder(path.parent)


def sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # which opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned_in(folder: Path, *, recursive: bool = False) -> None:
    """Remove the temporary files that killed processes have left in a folder. Files in use stay."""
    for parent, folders, files in os.walk(folder):
        temporaries = [name for name in (*folders, *files) if TEMPORARY in name]
        folders[:] = [name for name in folders if recursive and name not in temporaries]
        for name in {name.partition(TEMPORARY)[0] for name in temporaries}:
            remove_abandoned(Path(parent, name))


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files of `path`, unless a process uses them or they belong to another user."""
    lock = temporary(path)
    parts = [*path.parent.glob(f"{glob.escape(lock.name)}.*")]
    if not (parts or lock.exists()):
        return
    with suppress(OSError), open(os.open(lock, FLAGS, 0o600), "r+b") as file:
        if not _lock_at(lock, file):
            return
        if sys.platform == "win32":  # which removes no file that is open, not even by the process that opened it
            file.close()
        for part in parts:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        lock.unlink()


def _is_abandoned(path: Path) -> bool:
    with path.open("r+b") as file:
        return _lock(file)


def _lock_at(path: Path, file: BinaryIO) -> bool:
    return _lock(file) and _is_at(path, file)


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Whether it is still called so: a process that had the lock before us has given the file its lasting name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO) -> bool:
    """Lock the file until it is closed; false if another process has."""
    if sys.platform == "win32":  # which removes no file that is open
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_private_folder(folder: Path) -> bool:
    """Create the folder if needed. Return whether it belongs to this user and no other user can read it."""
    if sys.platform == "win32":
        return False
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
