"""The typeface of pages."""

import re
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from opportune.project.layout import FRAMEWORK
from opportune.web.static import typeface

MAX_BYTES = 42_000


@pytest.fixture(scope="module")
def cut_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder in which the font was cut."""
    folder = tmp_path_factory.mktemp("typeface")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typeface, "folder", lambda: folder)
        typeface.cut()
    return folder


def test_cut_files_have_at_most_42_kilobytes(cut_files: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in cut_files.iterdir()}
    assert sizes.keys() == typeface.SUBSETS.keys()
    assert sum(sizes.values()) <= MAX_BYTES


def test_style_sheet_has_ranges_of_cut_files() -> None:
    sheet = (FRAMEWORK / "static" / "typeface.css").read_text(encoding="utf-8")
    faces = re.findall(r'url\("(.+?)"\).*?unicode-range: (.+?);', sheet, re.DOTALL)
    assert {name: ranges.replace("U+", "").replace(" ", "") for name, ranges in faces} == typeface.SUBSETS


async def test_page_preloads_latin_file(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeface, "is_ready", lambda: True)
    monkeypatch.setattr(typeface, "LATIN", "icon.svg")
    page = (await client.get("/accounts/login")).text
    assert re.search(r'<link rel="preload" href="/static/icon.svg\?v=\w+" as="font"', page)
