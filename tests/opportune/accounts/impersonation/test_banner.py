"""The banner of an impersonation is on every page and never cached for other users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import AsyncClient
from jinja2 import ChoiceLoader, DictLoader

from opportune.accounts import OptionalUser, User
from opportune.config import Settings, installed_features
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.testing.factories import signed_in_client
from opportune.web import cached, templates
from tests.opportune.accounts.impersonation.conftest import ADA, impersonate

BANNER = 'id="impersonation"'
PROJECT_BASE = "<!doctype html><html><BODY class='own'>{{ user.email }} {% block content %}{% endblock %}</body></html>"
router = APIRouter()


@router.get("/cached")
@cached(60, per_user=True)
async def cached_page(request: Request, _user: OptionalUser) -> Response:
    return templates.render(request, "page.html")


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """Site whose project replaces the base template."""
    app = create_test_app(settings, (*installed_features(), Feature("caching", "Caches pages.", pages=router)))
    project_templates = DictLoader({"base.html": PROJECT_BASE, "page.html": '{% extends "base.html" %}'})
    loader = templates.environment.loader
    assert loader
    async with app.router.lifespan_context(app):
        with_project = templates.environment.overlay(loader=ChoiceLoader([project_templates, loader]))
        monkeypatch.setattr(templates, "environment", with_project)
        yield app


async def test_banner_is_on_custom_pages_and_never_cached(app: FastAPI, boss_client: AsyncClient, ada: User) -> None:
    await impersonate(boss_client, ada)
    async with signed_in_client(app, ada) as user_browser:
        for _ in range(2):
            boss_page, user_page = (await boss_client.get("/cached")).text, (await user_browser.get("/cached")).text
            assert boss_page.startswith("<!doctype html><html><BODY class='own'>")
            assert (boss_page.count(BANNER), user_page.count(BANNER)) == (1, 0)
            assert ADA in user_page
    refused = await boss_client.get("/accounts/password", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.text.count(BANNER)) == (403, 1)
