import re
import time
from pathlib import Path

import pytest
from httpx import AsyncClient

from app.core.settings import PROJECT
from app.core.web.assets import LOOK_AGAIN, Assets, assets

STYLE = "css/tabler.min.css"


@pytest.mark.parametrize("name", ["site.css", STYLE, "js/tabler.min.js", "django_htmx/htmx-4.min.js", "swagger-ui.css"])
async def test_files_of_the_project_and_of_wheels_are_served(client: AsyncClient, name: str) -> None:
    response = await client.get(assets.url(name))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_without_the_right_version_a_file_is_asked_for_again(client: AsyncClient) -> None:
    for url in ("/static/site.css", "/static/site.css?v=old"):
        response = await client.get(url)
        assert response.headers["cache-control"] == "public, no-cache"
        again = await client.get(url, headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_text_is_compressed_for_those_who_take_it(client: AsyncClient) -> None:
    plain = await client.get(assets.url(STYLE), headers={"Accept-Encoding": "identity"})
    packed = await client.get(assets.url(STYLE), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.content == packed.content, "the client unpacks it"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.headers["vary"] == "Accept-Encoding"


async def test_a_font_named_in_a_style_sheet_is_found(client: AsyncClient) -> None:
    style = (await client.get("/static/css/tabler-icons.min.css")).text
    font = re.search(r"url\(['\"]?\.\./(webfonts/[^)'\"?#]+)", style)
    assert font
    assert (await client.get(f"/static/{font[1]}")).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["nothing.css", "", "css", "../.env", "%2e%2e/.env", "..%2f..%2fpyproject.toml", "/etc/passwd", "a\0b", "x" * 5000],
)
async def test_what_is_no_file_here_is_not_found(client: AsyncClient, path: str) -> None:
    response = await client.get(f"/static/{path}".replace("\0", "%00"))
    assert response.status_code == 404
    assert "SECRET_KEY" not in response.text


async def test_nothing_is_posted_to_files(client: AsyncClient) -> None:
    assert (await client.post("/static/site.css")).status_code == 405


def test_a_changed_file_has_another_address_a_second_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Assets(tmp_path)
    (tmp_path / "a.css").write_text("one")
    first = own.url("a.css")
    (tmp_path / "a.css").write_text("other")
    monkeypatch.setattr("app.core.web.assets.monotonic", lambda: time.monotonic() + LOOK_AGAIN)
    assert own.url("a.css") != first


def test_a_file_that_is_not_there_is_an_error_where_it_is_named() -> None:
    with pytest.raises(FileNotFoundError):
        assets.url("nothing.css")


def test_every_asset_that_a_template_names_exists() -> None:
    named = {
        name
        for template in (PROJECT / "templates").rglob("*.html")
        for name in re.findall(r"asset\(['\"]([^'\"]+)['\"]\)", template.read_text())
    }
    assert named
    for name in named:
        assets.url(name)
