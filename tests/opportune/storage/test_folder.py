"""Files in a folder."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from opportune.storage import MissingFileError, Storage, StorageError, open_storage
from tests.opportune.storage.conftest import settings_with_storage

FILE_NAME = f"photos/{'0' * 32}.jpg"


def list_paths(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def outside(folder: Path, tmp_path: Path) -> Path:
    """A folder with a secret file. The uploads contain links to both."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / Path(FILE_NAME).name).write_text("secret")
    (folder / "letters").mkdir(parents=True)
    (folder / "photos").symlink_to(outside)
    (folder / FILE_NAME.replace("photos", "letters")).symlink_to(outside / Path(FILE_NAME).name)
    return outside


@pytest.fixture
def storage(folder: Path) -> Storage:
    return open_storage(settings_with_storage(f"file:{folder}"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
async def test_files_are_private_to_the_user(storage: Storage, folder: Path) -> None:
    name = await storage.save("photos", "jpg", b"x", "image/jpeg")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder / name, folder / "photos", folder)]
    assert modes == [0o600, 0o700, 0o700]


async def test_failed_write_leaves_no_file(storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", raise_disk_full)
    with pytest.raises(StorageError):
        await storage.save("photos", "jpg", b"x", "image/jpeg")
    assert list_paths(folder) == ["photos"]


async def test_links_are_not_followed(storage: Storage, outside: Path) -> None:
    for name in (FILE_NAME, FILE_NAME.replace("photos", "letters")):
        with pytest.raises(MissingFileError):
            await storage.read(name)
        await storage.delete(name)
    with pytest.raises(StorageError):
        await storage.save("photos", "jpg", b"x", "image/jpeg")
    assert list_paths(outside) == [Path(FILE_NAME).name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
async def test_pipe_is_not_opened(storage: Storage, folder: Path) -> None:
    (folder / "photos").mkdir(parents=True)
    os.mkfifo(folder / FILE_NAME)
    with pytest.raises(MissingFileError):
        await asyncio.wait_for(storage.read(FILE_NAME), 60)


def test_ephemeral_host_causes_a_warning(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDER", "true")
    assert "lost at the next deploy or restart. Set STORAGE_URL to a bucket" in storage.data_loss_warning


def test_persistent_storage_causes_no_warning(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage.data_loss_warning == ""
    monkeypatch.setenv("RENDER", "true")
    assert open_storage(settings_with_storage("s3://AK:s3cr3t@host/files")).data_loss_warning == ""
    if Path("/dev/shm").is_dir():  # noqa: S108 - mounted like a volume
        assert open_storage(settings_with_storage("file:/dev/shm/not/yet/made")).data_loss_warning == ""
