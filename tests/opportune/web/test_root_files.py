"""Favicon, robots.txt and other files at the root of the site."""

from pathlib import Path

import pytest
from httpx2 import AsyncClient

from opportune.web.static.files import assets


async def test_logo_is_the_default_favicon(client: AsyncClient) -> None:
    response = await client.get("/favicon.ico")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")
    assert response.content == (await client.get("/static/icon.svg")).content
    assert (await client.head("/favicon.ico")).status_code == 200


async def test_own_favicon_replaces_logo(client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "favicon.ico").write_bytes(b"\0\0\1\0")
    monkeypatch.setattr(assets, "all_directories", [tmp_path, *assets.all_directories])
    response = await client.get("/favicon.ico")
    assert response.content == b"\0\0\1\0"
    assert response.headers["content-type"].startswith("image/")


async def test_root_files_are_revalidated(client: AsyncClient) -> None:
    for path in ("/favicon.ico", "/robots.txt"):
        first = await client.get(path)
        assert (first.headers["cache-control"], "set-cookie" in first.headers) == ("public, no-cache", False), path
        again = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert (await client.post(path)).status_code == 405, path
