"""Signed URLs: their headers, expiry and refusal."""

import time
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr

from opportune.storage import Storage
from opportune.storage.signed_urls import UrlSigner
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
        (until, ""),
        (until, "never"),
        (signature, signature[::-1]),
        (signature, ""),
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
