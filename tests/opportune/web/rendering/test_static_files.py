import re
import time
from pathlib import Path

import pytest
from httpx import AsyncClient

from opportune.config.project import PROJECT
from opportune.web.rendering.static_files import CHECK_INTERVAL_SECONDS, Assets, assets

pytestmark = pytest.mark.database("sqlite")

STYLE = "css/tabler.min.css"


async def test_files_of_project_and_wheels_are_served(
    client: AsyncClient,
) -> None:
    for name in ("site.css", STYLE, "js/tabler.min.js", "django_htmx/htmx-4.min.js", "swagger-ui.css"):
        response = await client.get(assets.url(name))
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"

    for url in ("/static/site.css", "/static/site.css?v=old"):
        response = await client.get(url)
        assert response.headers["cache-control"] == "public, no-cache"
        again = await client.get(url, headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    for url in ("/static/site.css", "/static/icons.css", "/static/webfonts/fa-solid-900.woff2"):
        told, sent = await client.head(url), await client.get(url)
        assert told.content == b""
        for name in ("content-length", "content-type", "content-encoding", "etag", "vary", "cache-control"):
            assert told.headers.get(name) == sent.headers.get(name), name

    assert (await client.post("/static/site.css")).status_code == 405

    for path in (
        "nothing.css",
        "",
        "css",
        "../.env",
        "%2e%2e/.env",
        "..%2f..%2fpyproject.toml",
        "/etc/passwd",
        "a\0b",
        "x" * 5000,
    ):
        response = await client.get(f"/static/{path}".replace("\0", "%00"))
        assert response.status_code == 404, path
        assert "SECRET_KEY" not in response.text, path


async def test_static_text_is_compressed_and_revalidated(
    client: AsyncClient,
) -> None:
    plain = await client.get(assets.url(STYLE), headers={"Accept-Encoding": "gzip;q=0, identity"})
    packed = await client.get(assets.url(STYLE), headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content, "the client unpacks it"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"

    tags = {}
    for encoding in ("gzip", "identity"):
        answer = await client.get("/static/site.css", headers={"Accept-Encoding": encoding})
        tags[encoding] = answer.headers["etag"]
    assert tags["gzip"] != tags["identity"]
    for encoding, tag in tags.items():
        for asked, status in ((encoding, 304), ("gzip, identity;q=0" if encoding == "identity" else "identity", 200)):
            headers = {"Accept-Encoding": asked, "If-None-Match": f'"other", W/{tag}'}
            answer = await client.get("/static/site.css", headers=headers)
            assert (answer.status_code, answer.headers["vary"]) == (status, "Accept-Encoding")

    url = "/static/webfonts/fa-solid-900.woff2"
    part = await client.get(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    whole = await client.get(url)
    assert "content-encoding" not in whole.headers
    assert "vary" not in whole.headers


async def test_urls_in_style_sheets_have_hashes(client: AsyncClient, tmp_path: Path) -> None:
    style = (await client.get(assets.url("css/fontawesome-all.min.css"))).text
    fonts = re.findall(r"url\([\"']?([^)\"']+woff2[^)\"']*)", style)
    assert fonts
    for font in fonts:
        if "v4compatibility" not in font:  # not included in SQLAdmin
            assert (await client.get(font)).headers["cache-control"] == "public, max-age=31536000, immutable"
    (tmp_path / "own").mkdir()
    (tmp_path / "a.png").touch()
    unchanged = "url(b.png) url('data:image/png;a') url(https://b.example/a.png) url(/a.png) url(#a)"
    (tmp_path / "own/a.css").write_text(f'a {{ b: url("../a.png?v1#c") url(../a.png) {unchanged} }}')
    files = Assets(tmp_path)
    png = files.url("a.png")
    assert files.content("own/a.css").decode() == f'a {{ b: url("{png}#c") url({png}) {unchanged} }}'


def test_changed_file_gets_new_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Assets(tmp_path)
    (tmp_path / "a.css").write_text("one")
    first = files.url("a.css")
    (tmp_path / "a.css").write_text("other")
    monkeypatch.setattr(
        "opportune.web.rendering.static_files.monotonic", lambda: time.monotonic() + CHECK_INTERVAL_SECONDS
    )
    assert files.url("a.css") != first


def test_missing_asset_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        assets.url("nothing.css")


def test_assets_of_templates_exist() -> None:
    named = {
        name
        for template in (PROJECT / "templates").rglob("*.html")
        for name in re.findall(r"asset\(['\"]([^'\"]+)['\"]\)", template.read_text())
    }
    assert named
    for name in named:
        assets.url(name)
