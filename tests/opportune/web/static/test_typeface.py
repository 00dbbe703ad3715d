"""The typeface of pages."""

import re

import pytest
from httpx2 import AsyncClient

from opportune.project.layout import FRAMEWORK
from opportune.web.static import typeface


def test_style_sheet_has_ranges_of_cut_files() -> None:
    sheet = (FRAMEWORK / "static" / "typeface.css").read_text(encoding="utf-8")
    faces = re.findall(r'url\("(.+?)"\).*?unicode-range: (.+?);', sheet, re.DOTALL)
    assert {name: ranges.replace("U+", "").replace(" ", "") for name, ranges in faces} == typeface.SUBSETS


async def test_page_preloads_latin_file(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeface, "is_ready", lambda: True)
    monkeypatch.setattr(typeface, "LATIN", "icon.svg")
    page = (await client.get("/accounts/login")).text
    assert re.search(r'<link rel="preload" href="/static/icon.svg\?v=\w+" as="font"', page)


async def test_content_security_policy_allows_own_fonts_only(client: AsyncClient) -> None:
    assert "font-src 'self';" in (await client.get("/accounts/login")).headers["content-security-policy"]
