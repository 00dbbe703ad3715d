"""Optional features of the framework: a site without them, and messages that name what to list."""

import re

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from opportune.config.settings import Settings
from opportune.project.installed import REQUIRED, installed_features
from opportune.project.layout import USERS
from opportune.project.optional_features import OPTIONAL_FEATURES
from opportune.testing import make_user, signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.feature_rounds import features_without

NAMES = [name for name in OPTIONAL_FEATURES if name not in REQUIRED]


@pytest.fixture
def bare_site(settings: Settings) -> FastAPI:
    """A site with only the required features, in development."""
    required = [feature for feature in installed_features() if feature.name in (*REQUIRED, USERS)]
    return create_test_app(settings.model_copy(update={"environment": "development"}), required)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/docs/crud", "This page belongs to the feature documentation. Add `documentation` to app/installed.py."),
        ("/answers/transcriptions", "belongs to the feature answers_media. Add `answers_media` to app/installed.py."),
        ("/teamsters", "There is nothing at this address."),
    ],
)
async def test_site_without_optional_features(bare_site: FastAPI, path: str, text: str) -> None:
    browser = AsyncClient(transport=ASGITransport(bare_site), base_url="http://localhost")
    async with bare_site.router.lifespan_context(bare_site), browser as client:
        response = await client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert text in response.text.replace("&#34;", '"')
    assert "palette-open" not in response.text


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("left_out", [NAMES[::2], NAMES[1::2], NAMES], ids=["even", "odd", "all"])
async def test_pages_have_no_dead_links_without(left_out: list[str], settings: Settings) -> None:
    app = create_test_app(settings, features_without(left_out))
    async with (
        app.router.lifespan_context(app),
        signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client,
    ):
        pages = [await client.get(url, follow_redirects=True) for url in ("/", "/accounts/profile", "/admin/")]
        if any(feature.name == "operations" for feature in app.state.features):
            pages.append(await client.get("/admin/operations", follow_redirects=True))
        assert {page.status_code for page in pages} == {200}
        links = {link for page in pages for link in re.findall(r'href="(/(?!static/)[^"#]*)', page.text)}
        assert len(links) > 20
        assert {link for link in links if (await client.get(link)).status_code == 404} == set()
