"""Generated files: translations of the texts in scripts, and the logo."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.i18n import use_language
from opportune.testing.app import create_test_app
from opportune.web.static import generated
from opportune.web.static.files import Assets, assets

HEADERS = {"Accept": "text/html", "Accept-Language": "de"}


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_test_app(settings.model_copy(update={"languages": ["en", "de", "it"], "language": "en"}), [])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "static").mkdir()
    monkeypatch.setattr(generated, "replacements", tmp_path.joinpath)
    yield tmp_path
    generated._find_texts.cache_clear()
    generated.script_texts.cache_clear()


def texts_in(content: bytes) -> dict[str, str]:
    texts: dict[str, str] = json.loads(content.decode().removeprefix("window.translations = ").rstrip(";\n"))
    return texts


async def test_page_loads_texts_of_its_language(client: AsyncClient) -> None:
    page = (await client.get("/nothing", headers=HEADERS)).text
    with use_language("de"):
        address = assets.url(generated.file_of_language())
    assert f'<script src="{address}" defer></script>' in page
    response = await client.get(address)
    assert "immutable" in response.headers["cache-control"]
    assert texts_in(response.content)["Nothing matches"] == "Keine Treffer"


async def test_language_without_catalogue_has_no_file(client: AsyncClient) -> None:
    assert "/static/texts." not in (await client.get("/nothing", headers={**HEADERS, "Accept-Language": "it"})).text
    assert (await client.get("/static/texts.it.js")).status_code == 404


def test_file_has_the_texts_of_a_related_catalogue() -> None:
    assert generated.is_script_texts("texts.zh.js")
    assert texts_in(generated.script_texts("texts.zh.js"))["Close"] == "关闭"


def test_texts_of_the_project_are_included(project: Path) -> None:
    generated._find_texts.cache_clear()
    generated.script_texts.cache_clear()
    (project / "static/books.js").write_text(
        'alert(gettext("Say \\"yes\\"") + gettext("and\\/or") + gettext( "Cancel"));'
    )
    texts = texts_in(generated.script_texts("texts.xx.js"))
    assert texts['Say "yes"'].startswith("[")
    assert {"Cancel", "and/or"} <= texts.keys()


@pytest.mark.parametrize(("name", "letter"), [("«Étagère»", "É"), ("!", "•")])
def test_logo_has_first_letter_of_the_name(name: str, letter: str) -> None:
    svg = generated.draw_logo(name, "#0f766e").decode()
    assert f">{letter}</text>" in svg
    assert 'fill="#0f766e"' in svg


def test_site_without_logo_has_generated_one(tmp_path: Path) -> None:
    (tmp_path / "colours.css").write_text(":root { --tblr-primary: #be123c; }")
    assets = Assets(tmp_path)
    assets.site_name = "Harbour"
    content = assets.content("icon.svg").decode()
    assert "H</text>" in content
    assert '"#be123c"' in content
