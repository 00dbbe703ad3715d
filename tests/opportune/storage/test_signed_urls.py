"""Signed URLs of files, and the routes that serve them."""

import time
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.storage import Storage
from opportune.storage.public_folders import declare_folder, public_url
from opportune.storage.storage import UrlSigner
from opportune.testing.plugin import settings_for

PICTURE = ("photos", "jpg", b"picture", "image/jpeg")


@pytest.fixture
def storage_kind() -> str:
    """Folder storage, whose files have no public URLs."""
    return "folder"


async def test_headers_block_scripts_and_show_images(storage: Storage, visitor: AsyncClient) -> None:
    headers = (await visitor.get(await storage.url(await storage.save(*PICTURE)))).headers
    assert headers["content-disposition"] == "inline"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"


async def test_url_expires(storage: Storage, visitor: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await storage.url(await storage.save(*PICTURE), seconds=10)
    start = time.time()
    for seconds, status in ((-1, 200), (9, 200), (11, 403)):
        monkeypatch.setattr(time, "time", partial(float, start + seconds))
        response = await visitor.get(url, headers={"Accept": "text/html"})
        assert response.status_code == status
    assert "has expired" in response.text


async def test_changed_url_is_refused(storage: Storage, visitor: AsyncClient) -> None:
    url = await storage.url(await storage.save(*PICTURE), download_as="a.jpg")
    parts = urlsplit(url)
    (until,), (signature,) = parse_qs(parts.query)["until"], parse_qs(parts.query)["signature"]
    for old, new in (
        (until, str(int(until) + 1)),
        (signature, signature[::-1]),
        (signature, "%FF%F0"),
        ("a.jpg", "b.html"),
        ("&as=a.jpg", ""),
        (parts.path, "/files/../../etc/passwd"),
        (parts.path, "/files/"),
    ):
        response = await visitor.get(url.replace(old, new), headers={"Accept": "text/html"})
        assert response.status_code in (403, 404), (old, new)


async def test_deleted_file_is_not_found(storage: Storage, visitor: AsyncClient) -> None:
    name = await storage.save(*PICTURE)
    url = await storage.url(name)
    await storage.delete(name)
    assert (await visitor.get(url)).status_code == 404
    assert (await visitor.get(await storage.url("photos/../../secret"))).status_code == 404


def test_older_key_stays_valid() -> None:
    settings = settings_for("sqlite:///never-opened.db")
    newer = settings.model_copy(update={"secret_key": SecretStr("x" * 40)})
    settings_with_fallback = newer.model_copy(update={"secret_key_fallbacks": settings.secret_key})
    (signature,) = UrlSigner.of(settings).signatures("photos/x.jpg", "1", "")
    assert UrlSigner.of(settings).is_valid(signature, "photos/x.jpg", "1", "")
    assert UrlSigner.of(settings_with_fallback).is_valid(signature, "photos/x.jpg", "1", ""), "the older key is valid"
    signer, new_signer = UrlSigner.of(settings_with_fallback), UrlSigner.of(newer)
    assert signer.sign_url("photos/x.jpg", 9) == new_signer.sign_url("photos/x.jpg", 9)
    assert not UrlSigner.of(newer).is_valid(signature, "photos/x.jpg", "1", "")


PAGE = ("pages", "html", b"<script>alert(1)</script>", "text/html")


async def test_file_needs_its_signed_url(storage: Storage, visitor: AsyncClient, storage_kind: str) -> None:
    url = await storage.url(await storage.save(*PICTURE))
    response = await visitor.get(url)
    assert (response.status_code, response.content) == (200, b"picture")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"].startswith("private, max-age=")
    assert (await visitor.get(url.partition("?")[0])).status_code == 403
    other_name = await storage.save(*PICTURE)
    forged = await visitor.get(url.replace(urlsplit(url).path[-36:], other_name[-36:]))
    assert forged.status_code == (200 if storage_kind == "bucket" else 403), "moto does not check signatures"


async def test_other_file_is_a_download(storage: Storage, visitor: AsyncClient) -> None:
    name = await storage.save(*PAGE)
    response = await visitor.get(await storage.url(name, download_as='Räder; "x"\r\n.html'))
    assert (response.status_code, response.content) == (200, PAGE[2])
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''R%C3%A4der%3B%20%22x%22%0D%0A.html"
    assert response.headers["content-type"] == "application/octet-stream"
    response = await visitor.get(await storage.url(await storage.save(*PAGE)))
    assert response.headers["content-disposition"] == "attachment"


FILM = bytes(range(251)) * 4_300


@pytest.fixture
async def film_url(storage: Storage) -> str:
    """URL of a public file, which is larger than one read."""
    declare_folder("films", (), is_public=True)
    return public_url(await storage.save("films", "bin", FILM, "application/octet-stream"))


async def test_large_file_is_served_completely(visitor: AsyncClient, film_url: str) -> None:
    response = await visitor.get(film_url)
    assert (response.status_code, response.content == FILM) == (200, True)
    assert (response.headers["accept-ranges"], response.headers["content-length"]) == ("bytes", str(len(FILM)))
    head = await visitor.head(film_url)
    assert (head.headers["content-length"], head.content) == (str(len(FILM)), b"")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=65530-1060000", 65_530, 1_060_001),
        ("bytes=1079290-9999999", 1_079_290, len(FILM)),
        ("bytes=-5", len(FILM) - 5, len(FILM)),
    ],
)
async def test_range_of_file_is_served(visitor: AsyncClient, film_url: str, header: str, start: int, stop: int) -> None:
    etag = (await visitor.head(film_url)).headers["etag"]
    response = await visitor.get(film_url, headers={"Range": header, "If-Range": etag})
    assert (response.status_code, response.content == FILM[start:stop]) == (206, True)
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(FILM)}"


async def test_unusable_range_is_416_or_ignored(visitor: AsyncClient, film_url: str) -> None:
    response = await visitor.get(film_url, headers={"Range": "bytes=9999999-"})
    assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{len(FILM)}")
    for ignored in ({"Range": "lines=1-2"}, {"Range": "bytes=0-9", "If-Range": '"other"'}):
        assert (await visitor.get(film_url, headers=ignored)).status_code == 200


async def test_304_needs_an_existing_file(storage: Storage, visitor: AsyncClient, film_url: str) -> None:
    headers = {"If-None-Match": (await visitor.head(film_url)).headers["etag"]}
    assert (await visitor.get(film_url, headers=headers)).status_code == 304
    await storage.delete(film_url.removeprefix("/files/"))
    assert (await visitor.get(film_url, headers=headers)).status_code == 404
