"""Files that are written completely or not at all."""

import errno
import glob
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from opportune.errors import OperatorError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Another user's symbolic link in a shared folder must not be followed.
OPEN_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
TEMPORARY_INFIX = ".opportune.tmp"
"""Infix in the names of temporary files. Cleanup removes only files with it."""
LOCK_NAME = "lock"


def temporary_path(path: Path, suffix: str = "") -> Path:
    """Return the path of the temporary file that replaces `path`.

    With a suffix, return the path of an additional one. The lock on the file without a suffix protects them all.
    """
    ending = f".{suffix}" if suffix else ""
    return path.with_name(f"{path.name}{TEMPORARY_INFIX}{ending}")


@contextmanager
def private_file(path: Path, *, lock: bool = True) -> Iterator[BinaryIO]:
    """Open an empty file that only this user can read. It is removed at the end of the block, unless it was renamed.

    A file that a killed process left there is overwritten. Files that SQLite opens need `lock=False`, because its own
    locks may collide with this one.
    """
    with open(os.open(path, OPEN_FLAGS, 0o600), "r+b") as file:
        if lock and not _try_lock_at(path, file):
            name = str(path).replace(TEMPORARY_INFIX, "")
            raise OperatorError(f"Another process is writing {name}. Wait until it ends, then run this again.")
        if sys.platform != "win32" and os.fstat(file.fileno()).st_uid != os.geteuid():
            raise OperatorError(f"{path} belongs to another user, who could read its new content. Remove it.")
        try:
            file.truncate()
            path.chmod(0o600)
            yield file
        finally:
            if sys.platform == "win32":  # Windows cannot remove open files
                file.close()
            # While the lock is held: afterwards, another process may write its own file there.
            if not lock or file.closed or _is_at(path, file):
                path.unlink(missing_ok=True)


@contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder for the block. Folders of killed processes with this prefix are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError):  # the folder belongs to another user
            if _is_abandoned(folder / LOCK_NAME):
                shutil.rmtree(folder)
    with tempfile.TemporaryDirectory(prefix=prefix) as name, private_file(Path(name) / LOCK_NAME):
        yield Path(name)


@contextmanager
def open_replacement(path: Path) -> Iterator[BinaryIO]:
    """Open a private file that replaces `path` when the block ends without an error.

    Raises:
        OSError: The path is a folder or a device such as /dev/null, or cannot be written.
    """
    if path.exists() and not path.is_file():
        number = errno.EISDIR if path.is_dir() else errno.ENOTSUP
        raise OSError(number, os.strerror(number), str(path))
    new_path = temporary_path(path)
    with private_file(new_path) as file:
        yield file
        sync_file(file)
        replace_file(new_path, path)


@contextmanager
def restored_on_failure(paths: Iterable[Path]) -> Iterator[Mapping[Path, bytes | None]]:
    """Restore files if the block fails or is interrupted. Yield their contents, None for files that do not exist."""
    before = {path: path.read_bytes() if path.is_file() else None for path in paths}
    try:
        yield before
    except BaseException:
        for path, content in before.items():
            if content is not None:
                # A file that could not be written is unchanged, and writing it again would fail.
                if not path.is_file() or path.read_bytes() != content:
                    path.write_bytes(content)
            elif path.parent.is_dir():
                path.unlink(missing_ok=True)
        raise


def replace_file(new_path: Path, path: Path) -> None:
    """Move a synced file to `path`, in a way that survives a power failure."""
    new_path.replace(path)
    sync_folder(path.parent)


def sync_file(file: BinaryIO) -> None:
    """Write buffered content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def copy_owner(old: Path, new: Path) -> None:
    """Copy mode and owner, so that the server can read files written by root. Folders include their content."""
    status = old.stat()
    new.chmod(status.st_mode & 0o777)
    if sys.platform != "win32" and os.geteuid() == 0:
        for path in (new, *new.rglob("*")):
            os.chown(path, status.st_uid, status.st_gid)


def file_mode_mask() -> int:
    """Return the umask of this process, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # Windows cannot open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned_in(folder: Path, *, recursive: bool = False) -> None:
    """Remove temporary files of killed processes from a folder. Files in use stay."""
    for parent, folders, files in os.walk(folder):
        temporaries = [name for name in (*folders, *files) if TEMPORARY_INFIX in name]
        folders[:] = [name for name in folders if recursive and name not in temporaries]
        for target in {name.partition(TEMPORARY_INFIX)[0] for name in temporaries}:
            remove_abandoned(Path(parent, target))


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files of `path`, unless a process uses them or they belong to another user."""
    lock = temporary_path(path)
    parts = [*path.parent.glob(f"{glob.escape(lock.name)}.*")]
    if not (parts or lock.exists()):
        return
    with suppress(OSError), open(os.open(lock, OPEN_FLAGS, 0o600), "r+b") as file:
        if not _try_lock_at(lock, file):
            return
        if sys.platform == "win32":  # Windows cannot remove open files
            file.close()
        for part in parts:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        lock.unlink()


def _is_abandoned(lock_path: Path) -> bool:
    with lock_path.open("r+b") as file:
        return try_lock(file)


def _try_lock_at(path: Path, file: BinaryIO) -> bool:
    return try_lock(file) and _is_at(path, file)


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Return whether the path still names this file. The previous holder of the lock may have renamed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def try_lock(file: BinaryIO) -> bool:
    """Lock the file until it is closed. Return False if another process holds the lock."""
    try:
        if sys.platform == "win32":
            file.seek(1 << 30)  # beyond the end of the file, because other processes cannot read locked bytes
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # LK_LOCK gives up after ten seconds
            file.seek(0)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
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
