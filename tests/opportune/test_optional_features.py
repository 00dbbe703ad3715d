"""Optional features of the framework: a site without them, and messages that name what to list."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import ASGITransport, AsyncClient

from opportune import features
from opportune.cli.development import settings_checks, startup
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.features.core import CORE_FEATURES, all_features
from opportune.project.installed import REQUIRED, installed_features
from opportune.project.layout import USERS
from opportune.project.optional_features import OPTIONAL_FEATURES, feature_of_path, feature_of_setting
from opportune.testing import make_user, signed_in_client
from opportune.testing.app import create_test_app
from opportune.web.routing.api_router import router_list
from tests.opportune.feature_rounds import feature_rounds, features_without

PAGES = ("/", "/accounts/profile", "/admin/")
NAMES = [name for name in OPTIONAL_FEATURES if name not in REQUIRED]
OPTIONAL = [getattr(features, name) for name in NAMES]


@pytest.fixture
def bare_site(settings: Settings) -> FastAPI:
    """A site with only the required features, in development."""
    required = [feature for feature in installed_features() if feature.name in (*REQUIRED, USERS)]
    return create_test_app(settings.model_copy(update={"environment": "development"}), required)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/accounts/login", 200, "Sign in"),
        ("/docs/crud", 404, "This page belongs to the feature documentation. Add `documentation` to app/installed.py."),
        ("/teams/1", 404, "This page belongs to the feature teams."),
        ("/teamsters", 404, "There is nothing at this address."),
    ],
)
async def test_site_without_optional_features(bare_site: FastAPI, path: str, status: int, text: str) -> None:
    async with (
        bare_site.router.lifespan_context(bare_site),
        AsyncClient(transport=ASGITransport(bare_site), base_url="http://localhost") as client,
    ):
        response = await client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == status
    assert text in response.text.replace("&#34;", '"')
    assert "palette-open" not in response.text


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("left_out", [*feature_rounds(NAMES), NAMES], ids=len)
async def test_pages_have_no_dead_links_without(left_out: list[str], settings: Settings) -> None:
    app = create_test_app(settings, features_without(left_out))
    async with (
        app.router.lifespan_context(app),
        signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client,
    ):
        pages = [await client.get(url, follow_redirects=True) for url in PAGES]
        if any(feature.name == "operations" for feature in app.state.features):
            pages.append(await client.get("/admin/operations", follow_redirects=True))
        assert {page.status_code for page in pages} == {200}
        links = {link for page in pages for link in re.findall(r'href="(/(?!static/)[^"#]*)', page.text)}
        assert len(links) > 20
        assert {link for link in links if (await client.get(link)).status_code == 404} == set()


@pytest.mark.database("sqlite")
async def test_pages_below_operations_need_the_feature(settings: Settings) -> None:
    app = create_test_app(settings, features_without(["operations"]))
    async with (
        app.router.lifespan_context(app),
        signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as client,
    ):
        for name in ("", "/backups", "/doctor"):
            assert (await client.get(f"/admin/operations{name}")).status_code == 404, name
        response = await client.post("/admin/llm/provider")
    assert response.headers["location"] == "/accounts/confirm?next=/admin/llm/provider"


def test_unlisted_feature_is_named_for_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MCP_SERVERS=x\n")
    for module in (settings_checks, startup):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
        monkeypatch.setattr(module, "setting_names", list)
    (finding,) = settings_checks.check_names(Settings())
    assert finding.text == "MCP_SERVERS in .env belongs to the feature mcp. Add `mcp` to app/installed.py."


@pytest.mark.parametrize("feature", OPTIONAL, ids=lambda feature: feature.name)
def test_pages_and_settings_name_their_feature(feature: Feature) -> None:
    routers = [*router_list(feature.pages), *router_list(feature.site.routes)]
    paths = [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]
    pages = [re.sub(r"\{.*?\}", "1", path) for path in paths if "/.well-known/" not in path]
    assert {feature_of_path(page) for page in pages} <= {feature.name}
    names = feature.settings.model_fields if feature.settings else {}
    assert {feature_of_setting(name) for name in names if name != "secrets_from"} <= {feature.name}


def test_observing_features_come_first() -> None:
    first = [feature.name for feature in all_features(installed_features())][:3]
    assert first == ["telemetry", "request_panel", CORE_FEATURES[0].name]
