"""The admin of sites that leave out its optional features."""

import re
from collections.abc import AsyncIterator, Collection, Sequence
from html import unescape
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.admin.extensions import extension_classes
from opportune.cli.development.feature_checks import check_versions
from opportune.config.settings import Settings, get_settings
from opportune.contrib.row_versions.feature import row_versions
from opportune.errors import OperatorError
from opportune.feature import Admin, Feature
from tests.opportune.contrib.row_versions.leaflet_feature import leaflet_site, leaflets
from tests.opportune.feature_rounds import feature_rounds

pytestmark = pytest.mark.database("sqlite")
MARKS = {
    "dashboard": ("/admin/?complete=1", 'id="health"'),
    "import_export": ("/admin/leaflet/list", "/leaflet/export/csv"),
    "row_versions": ("/admin/leaflet/history/1", "Version 2"),
    "reports": ("/admin/leaflet/list", "/leaflet/report"),
    "saved_views": ("/admin/leaflet/list?search=o", "/leaflet/views/add"),
}
"""A page and a text that each feature adds to it."""
PAGES = (
    *("/admin/", "/admin/leaflet/list", "/admin/leaflet/create", "/admin/leaflet/details/1", "/admin/leaflet/edit/1"),
    *("/admin/leaflet/history/1", "/admin/editor/list", "/admin/group/create", "/admin/status"),
)
LINK = re.compile(r'(?:href|action|formaction)="(/admin[^"#]*|\?[^"]*)"')


@pytest.fixture(params=feature_rounds([*MARKS]), ids="+".join)
def without(request: pytest.FixtureRequest) -> Collection[str]:
    """Names of the features that the site leaves out."""
    names: Collection[str] = request.param
    return {*names, "reports"} if "saved_views" in names else names  # which reports need


@pytest.fixture
async def app(settings: Settings, without: Collection[str]) -> AsyncIterator[FastAPI]:
    async with leaflet_site(settings, without) as app:
        yield app


async def test_admin_works_and_has_no_dead_links(admin: AsyncClient, without: Collection[str]) -> None:
    urls: dict[str, str] = {}
    for page in (*PAGES, *(page for page, _ in MARKS.values())):
        response = await admin.get(page)
        assert response.status_code == 200, page
        found = (urljoin(page, unescape(url)) for url in LINK.findall(response.text))
        urls |= {url.partition("?")[0]: url for url in found}
    statuses = {url: (await admin.get(url)).status_code for url in urls.values()}
    assert {url: status for url, status in statuses.items() if status not in (200, 303, 405)} == {}
    for name, (page, text) in MARKS.items():
        assert (text in (await admin.get(page)).text) == (name not in without), name
    form = (await admin.get("/admin/group/create")).text
    assert ("leaflet:export" in form) == ("import_export" not in without)


@pytest.mark.parametrize("path", ["opportune.nowhere.Tools", "opportune.admin.ModelPage"])
def test_unknown_extension_is_one_line(path: str) -> None:
    feature = Feature("books", admin=Admin(extension=path))
    with pytest.raises(OperatorError, match="is not the path of an AdminExtension"):
        list(extension_classes([feature]))


@pytest.mark.parametrize("others", [(), (row_versions,)])
def test_check_reports_models_without_versions(monkeypatch: pytest.MonkeyPatch, others: Sequence[Feature]) -> None:
    monkeypatch.setattr("opportune.cli.development.feature_checks.installed_features", lambda: [leaflets, *others])
    texts = [finding.text for finding in check_versions(get_settings())]
    assert any(text.startswith("Leaflet is Versioned, but") for text in texts) == (not others)
