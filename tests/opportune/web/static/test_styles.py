"""The cut style sheet of Tabler, whose bundles keep what pages use, and the typeface."""

import re
import sys
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from opportune.project.layout import FRAMEWORK
from opportune.web.static import icons, styles, typeface
from opportune.web.static.files import TABLER, assets

PAGES = ("/", "/accounts/login", "/accounts/profile", "/nothing", "/admin/", "/admin/user/list", "/admin/user/create")
SHEET = """\
@charset "utf-8";:root{--qidle:1;--qused:var(--qinner);--qinner:2;--qnamed:3}
.zz-qplain,.zz-qother:not(.zz-no){color:var(--qused)}
@media print{.zz-qgreen-qlight{color:red}.zz-qunknown{color:blue}}
@media screen{.zz-qunknown{color:blue}}
a{background:url("data:image/svg+xml;utf8,<svg>{}</svg>")}
"""


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(assets, "check_interval", inf)
    with monkeypatch.context() as patch:
        patch.setattr(styles, "used_rules", lambda *_: None)
        assets.url("pages.css")  # the URL of the whole sheet
    assets.prepare_styles(["ltr"], sources_change=True)
    yield
    styles._framework_words.cache_clear()


def cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> str:
    (tmp_path / "sheet.css").write_text(SHEET)
    (tmp_path / "templates").mkdir(exist_ok=True)
    (tmp_path / "templates/page.html").write_text(template)
    monkeypatch.setattr(icons, "SOURCE_FOLDERS", (tmp_path / "templates",))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    styles._framework_words.cache_clear()
    styles.prepare(str(tmp_path / "sheet.css"), 0, sources_change=False)
    return styles.used_rules(str(tmp_path / "sheet.css"), 0) or ""


def test_rules_of_named_classes_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = cut(tmp_path, monkeypatch, '<p class="zz-qplain">{# --qnamed #}')
    assert ".zz-qplain{color:var(--qused)}" in sheet
    assert "--qused:var(--qinner);--qinner:2;--qnamed:3" in sheet
    assert "<svg>{}</svg>" in sheet
    assert not re.search("zz-qother|zz-qunknown|zz-qgreen|--qidle|@media", sheet)


def test_stored_sheet_is_read_by_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cut(tmp_path, monkeypatch, '<p class="zz-qplain">')
    with monkeypatch.context() as patch:
        patch.setattr(styles, "_words_in", None)  # reads no source
        styles._framework_words.cache_clear()
        styles._used_rules.cache_clear()
        styles.prepare(str(tmp_path / "sheet.css"), 0, sources_change=False)
        assert styles.used_rules(str(tmp_path / "sheet.css"), 0) == first
    changed = cut(tmp_path, monkeypatch, '{% set colour = "qgreen" %}<p class="zz-{{ colour }}-qlight">')
    assert "@media print{.zz-qgreen-qlight{color:red}}" in changed, "the class is composed"
    assert "zz-qplain" not in changed


@pytest.mark.usefixtures("prepared")
async def test_classes_of_pages_are_in_the_bundles(superuser_client: AsyncClient) -> None:
    classes = set()
    for path in PAGES:
        page = (await superuser_client.get(path, headers={"Accept": "text/html"}, follow_redirects=True)).text
        classes |= {name for value in re.findall(r'class="([^"{]*)"', page) for name in value.split()}
    sheet = assets.content("admin-pages.css").decode()
    used = set(styles.CLASS.findall(sheet))
    assert {"btn-primary", "navbar-vertical", "breadcrumb"} <= classes
    assert classes & set(styles.CLASS.findall(assets.content(TABLER).decode())) - used == set()
    assert not re.search(r":has\([^{}]*\) ?> ?\*", sheet), "each click in a list would restyle all of its cells"


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
