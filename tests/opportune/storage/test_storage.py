import logging
import re
import socket
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from opportune.application import create_app
from opportune.storage import MissingFileError, Storage, StorageDependency, StorageError, open_storage
from opportune.storage.bucket import BucketStorage
from opportune.storage.location import Bucket
from opportune.storage.signed_urls import URLSigner
from tests.opportune.storage.conftest import with_files_at

SECRET = "s3cr3t"


async def saved(storage: Storage, content: bytes = b"picture") -> str:
    return await storage.save("photos", "jpg", content, "image/jpeg")


def unreachable(folder: Path, port: int) -> dict[str, str]:
    folder.write_text("in the way")
    return {"folder": f"file:{folder}", "bucket": f"s3://access:{SECRET}@127.0.0.1:{port}/opportune?tls=false"}


@pytest.fixture
def url_of_nothing(storage_kind: str, folder: Path, unused_tcp_port: int) -> str:
    """A place that does not answer."""
    return unreachable(folder, unused_tcp_port)[storage_kind]


async def test_what_is_saved_is_whole_and_read_by_a_name_that_nobody_can_guess_until_it_is_deleted(
    storage: Storage,
) -> None:
    first, second = await saved(storage), await saved(storage, b"")
    assert re.fullmatch(r"photos/[0-9a-f]{32}\.jpg", first)
    assert first != second
    assert (await storage.read(first), await storage.read(second)) == (b"picture", b"")

    name = await saved(storage)
    await storage.delete(name)
    await storage.delete(name)
    with pytest.raises(MissingFileError):
        await storage.read(name)

    content = bytes(range(250)) * 40_000
    assert await storage.read(await saved(storage, content)) == content

    assert not await storage.check()


async def test_a_name_folder_or_suffix_that_is_none_of_ours_leads_nowhere(storage: Storage) -> None:
    for name in (
        "../secret",
        "photos/../../secret",
        "/etc/passwd",
        "photos/x\0.jpg",
        "photos\\x.jpg",
        "",
        ".",
        f"photos/{'a' * 300}",
    ):
        with pytest.raises(MissingFileError):
            await storage.read(name)
        await storage.delete(name)

    for folder_name, suffix in [("../x", "jpg"), ("/x", "jpg"), ("x", "../jpg"), ("", "jpg"), ("x", "")]:
        with pytest.raises(ValueError, match="no folder and suffix"):
            await storage.save(folder_name, suffix, b"x", "image/jpeg")


@pytest.mark.parametrize("storage_kind", ["folder", "bucket"])
async def test_a_place_that_does_not_answer_is_told_in_one_line_without_its_secret(
    url_of_nothing: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage = open_storage(with_files_at(url_of_nothing))
    with pytest.raises(StorageError, match=r"^Files cannot be kept or shown at the moment"):
        await saved(storage)
    told = [record for record in caplog.records if record.name.startswith("opportune.storage")]
    assert [record.levelno for record in told] == [logging.ERROR]
    assert SECRET not in caplog.text
    assert caplog.messages[0].count("\n") == 0
    fault = await storage.check()
    assert SECRET not in fault
    assert fault.count("\n") == 0 < len(fault)


@pytest.mark.parametrize("storage_kind", ["folder", "bucket"])
async def test_a_place_that_does_not_answer_is_a_503(url_of_nothing: str) -> None:
    app = create_app(with_files_at(url_of_nothing))

    @app.post("/api/keep")
    async def keep(storage: StorageDependency) -> str:
        return await saved(storage)

    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        response = await client.post("/api/keep")
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json()["detail"].startswith("Files cannot be kept")


async def test_a_service_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        bucket = Bucket(host, "opportune", tls=False, key="access", secret=SECRET)
        storage = BucketStorage(bucket, URLSigner(["key"]), timeout_seconds=0.1)
        with pytest.raises(StorageError):
            await saved(storage)


async def test_a_bucket_that_is_missing_is_no_missing_file(s3_url: str, caplog: pytest.LogCaptureFixture) -> None:
    storage = open_storage(with_files_at(s3_url.replace("/opportune/", "/another/")))
    with pytest.raises(StorageError):
        await saved(storage)
    assert "there is no bucket s3://127.0.0.1" in caplog.text
    assert "The specified bucket does not exist" in await storage.check()


async def test_a_key_comes_from_the_environment_where_the_address_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    storage = open_storage(with_files_at("s3://files.example.org/opportune"))
    address = await storage.url(f"photos/{'0' * 32}.jpg")
    assert address.startswith("https://files.example.org/opportune/photos/000")
    assert "X-Amz-Credential=of-the-environment%2F" in address
    assert SECRET not in address


async def test_a_part_is_read_without_the_rest(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(250)) * 1_000
    name, empty = [await storage.save("films", "bin", each, "video/mp4") for each in (content, b"")]
    monkeypatch.setattr(type(storage), "read", None)
    assert await storage.read_part(name, 70_001, 140_000) == (content[70_001:140_000], 250_000)
    assert await storage.read_part(name, 249_990, 300_000) == (content[249_990:], 250_000)
    assert await storage.read_part(empty, 0, 100) == (b"", 0)
    for missing in (name.replace("films", "others"), "../films"):
        with pytest.raises(MissingFileError):
            await storage.read_part(missing, 0, 10)
