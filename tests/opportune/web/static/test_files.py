"""Static files: their URLs, headers and compression."""

import time
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from opportune.web.static.files import CHECK_INTERVAL_SECONDS, Assets, assets


async def test_only_url_with_current_version_is_immutable(client: AsyncClient) -> None:
    for name in ("site.css", "icons.css", "css/tabler.min.css", "js/tabler.min.js", "django_htmx/htmx-4.min.js"):
        response = await client.get(assets.url(name))
        assert response.status_code == 200, name
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable", name
    for url in ("/static/site.css", "/static/site.css?v=old"):
        response = await client.get(url)
        assert response.headers["cache-control"] == "public, no-cache", url
        again = await client.get(url, headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), url


async def test_head_returns_headers_of_get(client: AsyncClient) -> None:
    for url in ("/static/site.css", "/static/icons.css", "/static/webfonts/fa-solid-900.woff2"):
        head, file = await client.head(url), await client.get(url)
        assert head.content == b"", url
        for name in ("content-length", "content-type", "content-encoding", "etag", "vary", "cache-control"):
            assert head.headers.get(name) == file.headers.get(name), (url, name)


async def test_path_outside_static_folders_is_404(client: AsyncClient) -> None:
    for path in ("nothing.css", "css", "../.env", "%2e%2e/.env", "..%2f..%2fpyproject.toml", "/etc/passwd", "a%00b"):
        response = await client.get(f"/static/{path}")
        assert response.status_code == 404, path
        assert "SECRET_KEY" not in response.text, path


async def test_etag_depends_on_encoding(client: AsyncClient) -> None:
    response = await client.get("/static/site.css", headers={"Accept-Encoding": "gzip"})
    tags = f'"other", W/{response.headers["etag"]}'
    for accepted, status in (("gzip", 304), ("identity", 200)):
        again = await client.get("/static/site.css", headers={"Accept-Encoding": accepted, "If-None-Match": tags})
        assert (again.status_code, again.headers["vary"]) == (status, "Accept-Encoding")


def test_only_relative_urls_of_existing_files_get_hashes(tmp_path: Path) -> None:
    (tmp_path / "styles").mkdir()
    (tmp_path / "a.png").touch()
    unchanged = "url(b.png) url('data:image/png;a') url(https://b.example/a.png) url(/a.png) url(#a)"
    (tmp_path / "styles/a.css").write_text(f'a {{ b: url("../a.png?v1#c") url(../a.png) {unchanged} }}')
    files = Assets(tmp_path)
    png = files.url("a.png")
    assert files.content("styles/a.css").decode() == f'a {{ b: url("{png}#c") url({png}) {unchanged} }}'


def test_changed_file_gets_new_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Assets(tmp_path)
    (tmp_path / "a.css").write_text("one")
    first = files.url("a.css")
    (tmp_path / "a.css").write_text("other")
    monkeypatch.setattr("opportune.web.static.files.monotonic", lambda: time.monotonic() + CHECK_INTERVAL_SECONDS)
    assert files.url("a.css") != first
