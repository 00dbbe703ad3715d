"""Storages in a folder, a bucket and the database behave alike."""

import logging
import re
import socket
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from opportune.jobs.stored_files import delete_files
from opportune.storage import MissingFileError, Storage, StorageError, bucket, open_storage
from tests.opportune.storage.conftest import settings_with_storage

SECRET = "s3cr3t"


async def test_job_also_deletes_the_files_after_a_failure() -> None:
    storage = Mock(delete=AsyncMock(side_effect=[StorageError, None]), check=AsyncMock(return_value=""))
    with pytest.raises(StorageError):
        await delete_files.run(Mock(storage=storage), [["a", "b"]])
    assert storage.delete.await_count == 2


async def save_photo(storage: Storage, content: bytes = b"picture") -> str:
    return await storage.save("photos", "jpg", content, "image/jpeg")


@pytest.fixture
def unreachable_url(storage_kind: str, folder: Path, unused_tcp_port: int) -> str:
    """URL of a storage that does not respond."""
    if storage_kind == "bucket":
        return f"s3://access:{SECRET}@127.0.0.1:{unused_tcp_port}/opportune?tls=false"
    folder.write_text("a file instead of a folder")
    return f"file:{folder}"


async def test_saved_file_can_be_read(storage: Storage) -> None:
    contents = [b"picture", b"", bytes(range(250)) * 8_000]
    names = [await save_photo(storage, content) for content in contents]
    assert all(re.fullmatch(r"photos/[0-9a-f]{32}\.jpg", name) for name in names)
    assert [await storage.read(name) for name in names] == contents
    assert not await storage.check()


async def test_deleted_file_is_missing(storage: Storage) -> None:
    name = await save_photo(storage)
    await storage.delete(name)
    await storage.delete(name)
    with pytest.raises(MissingFileError):
        await storage.read(name)


async def test_text_is_not_read_as_the_path_of_a_file(s3_url: str) -> None:
    path: Any = __file__
    with pytest.raises(TypeError, match="bytes-like"):
        await save_photo(open_storage(settings_with_storage(s3_url)), path)


async def test_url_of_a_bucket_is_signed_by_the_site_beyond_a_week(s3_url: str) -> None:
    storage = open_storage(settings_with_storage(s3_url))
    urls = [await storage.url(await save_photo(storage), seconds=seconds) for seconds in (604_800, 604_801)]
    assert [url.partition(":")[0] == "http" for url in urls] == [True, False]


async def test_invalid_arguments_are_refused(storage: Storage) -> None:
    with pytest.raises(ValueError, match=r"seconds=-1.* has expired already"):
        await storage.url("photos/x.jpg", seconds=-1)
    outside = ("../secret", "photos/../../secret", "/etc/passwd", ".", "")
    for name in (*outside, "photos/x\0.jpg", "photos\\x.jpg", f"photos/{'a' * 300}"):
        with pytest.raises(MissingFileError):
            await storage.read(name)
        await storage.delete(name)
    for folder_name, suffix in [("../x", "jpg"), ("/x", "jpg"), ("x", "../jpg"), ("", "jpg"), ("x", "")]:
        with pytest.raises(ValueError, match="invalid folder or suffix"):
            await storage.save(folder_name, suffix, b"x", "image/jpeg")


@pytest.mark.parametrize("storage_kind", ["folder", "bucket"])
async def test_error_is_logged_without_the_secret(unreachable_url: str, caplog: pytest.LogCaptureFixture) -> None:
    storage = open_storage(settings_with_storage(unreachable_url))
    with pytest.raises(StorageError, match=r"^Files cannot be saved or shown at the moment"):
        await save_photo(storage)
    records = [record for record in caplog.records if record.name.startswith("opportune.storage")]
    assert [record.levelno for record in records] == [logging.ERROR]
    assert SECRET not in caplog.text
    assert caplog.messages[0].count("\n") == 0
    problem = await storage.check()
    assert SECRET not in problem
    assert problem.count("\n") == 0 < len(problem)


async def test_silent_service_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "OPERATION_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        storage = open_storage(settings_with_storage(f"s3://access:{SECRET}@{host}/opportune?tls=false"))
        with pytest.raises(StorageError):
            await save_photo(storage)


async def test_missing_bucket_is_an_error(s3_url: str, caplog: pytest.LogCaptureFixture) -> None:
    storage = open_storage(settings_with_storage(s3_url.replace("/opportune/", "/another/")))
    with pytest.raises(StorageError):
        await save_photo(storage)
    assert re.search(r"the bucket s3://127\.0\.0\.1\S* does not exist", caplog.text)
    assert "The specified bucket does not exist" in await storage.check()


async def test_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    storage = open_storage(settings_with_storage("s3://files.example.org/opportune"))
    url = await storage.url(f"photos/{'0' * 32}.jpg")
    assert url.startswith("https://files.example.org/opportune/photos/000")
    assert "X-Amz-Credential=environment-key%2F" in url
    assert SECRET not in url


async def test_part_is_read_without_the_whole_file(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(250)) * 1_000
    name, empty = [await storage.save("films", "bin", data, "video/mp4") for data in (content, b"")]
    monkeypatch.setattr(type(storage), "read", None)
    assert await storage.read_part(name, 70_001, 140_000) == (content[70_001:140_000], 250_000)
    assert await storage.read_part(name, 249_990, 300_000) == (content[249_990:], 250_000)
    assert await storage.read_part(empty, 0, 100) == (b"", 0)
    for missing in (name.replace("films", "others"), "../films"):
        with pytest.raises(MissingFileError):
            await storage.read_part(missing, 0, 10)
