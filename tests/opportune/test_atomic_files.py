"""Replacement of files that are complete or unchanged, and removal of abandoned ones."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from opportune.errors import OperatorError
from opportune.project import atomic_files


def test_file_is_replaced_only_after_success(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with atomic_files.open_replacement(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("after", 0o600)
    with pytest.raises(KeyError), atomic_files.open_replacement(path) as file:
        raise KeyError
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - only the names


def test_concurrent_writer_is_refused_and_the_next_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_files.open_replacement(path) as file:
        file.write(b"first")
        with pytest.raises(OperatorError, match="Another process is writing"), atomic_files.open_replacement(path):
            pass
    assert path.read_text() == "first"
    with atomic_files.private_file(tmp_path / "new"):
        atomic_files.replace_file(tmp_path / "new", path)
        (tmp_path / "new").touch()  # by the next writer
    assert (tmp_path / "new").exists()


def lock_after(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let another process act just before this one tries to lock a file."""
    lock = atomic_files.try_lock

    def lock_late(file: BinaryIO) -> bool:
        act()
        return lock(file)

    monkeypatch.setattr(atomic_files, "try_lock", lock_late)


def test_renamed_file_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_files.temporary_path(path).write_text("of the other process")
    lock_after(monkeypatch, lambda: atomic_files.replace_file(atomic_files.temporary_path(path), path))
    with pytest.raises(OperatorError, match="Another process is writing"), atomic_files.open_replacement(path):
        pass
    assert path.read_text() == "of the other process"


def test_abandoned_part_is_removed_without_its_lock(tmp_path: Path) -> None:
    part = atomic_files.temporary_path(tmp_path / "app.db", "restored")
    for path in (part, part.with_name(f"{part.name}-wal")):
        path.touch()
    atomic_files.remove_abandoned(tmp_path / "app.db")
    assert list(tmp_path.iterdir()) == []


def test_renamed_file_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, temporary = tmp_path / "file", atomic_files.temporary_path(tmp_path / "file")
    temporary.write_text("of the other process")

    def replace_and_write() -> None:
        atomic_files.replace_file(temporary, path)
        temporary.write_text("of a third process")

    lock_after(monkeypatch, replace_and_write)
    atomic_files.remove_abandoned(path)
    assert temporary.exists()
    assert path.exists()


def test_subfolders_stay_unless_recursive(tmp_path: Path) -> None:
    path = atomic_files.temporary_path(tmp_path / "uploads" / "file")
    path.parent.mkdir()
    path.touch()
    atomic_files.remove_abandoned_in(tmp_path)
    assert path.exists()
    atomic_files.remove_abandoned_in(tmp_path, recursive=True)
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other owners")
def test_file_of_another_user_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_files.temporary_path(path).touch()
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(OperatorError, match="belongs to another user"), atomic_files.open_replacement(path):
        pass
    assert atomic_files.temporary_path(path).read_bytes() == b""


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no owner there")
def test_folder_of_others_is_not_private(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert atomic_files.make_private_folder(folder)
    folder.chmod(0o755)
    assert not atomic_files.make_private_folder(folder)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert not atomic_files.make_private_folder(folder)


def test_device_is_not_replaced(tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device)
    with pytest.raises(OSError, match="not supported"), atomic_files.open_replacement(device):
        pass
    assert device.is_fifo()
