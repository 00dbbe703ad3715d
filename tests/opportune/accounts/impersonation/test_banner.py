"""The banner of an impersonation is on every page and never cached for other users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import AsyncClient
from jinja2 import ChoiceLoader, DictLoader

from opportune.accounts import OptionalUser
from opportune.accounts.feature import accounts
from opportune.accounts.impersonation.service import start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.users.context import AccountContext
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user, signed_in_client
from opportune.web.cache import cached
from opportune.web.client import Client
from opportune.web.rendering.templates import templates
from tests.opportune.accounts.stored_rows import read_one

BANNER = 'id="impersonation"'
PROJECT_BASE = (
    "<!doctype html><html><BODY class='own'><p>{{ user.email }} {% block content %}{% endblock %}</p></body></html>"
)

router = APIRouter()


@router.get("/cached")
@cached(60, per_user=True)
async def cached_page(request: Request, _user: OptionalUser) -> Response:
    return templates.render(request, "page.html")


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    project_templates = DictLoader({"base.html": PROJECT_BASE, "page.html": '{% extends "base.html" %}'})
    loader = templates.environment.loader
    assert loader
    monkeypatch.setattr(
        templates, "environment", templates.environment.overlay(loader=ChoiceLoader([project_templates, loader]))
    )
    app = create_test_app(settings, (accounts, Feature("caching", "Caches pages.", pages=router)))
    async with app.router.lifespan_context(app):
        yield app


async def impersonate(app: FastAPI, boss_client: AsyncClient, superuser: User, user: User) -> None:
    """Impersonate a user in this superuser's browser."""
    boss_session = await read_one(app.state.database, Session, user_id=superuser.id)
    async with app.state.database.writer() as session:
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, boss_session, user.id, "She asked")
    boss_client.cookies.set(cookie_name(app.state.settings), token)


async def test_banner_is_on_custom_pages_and_never_cached(app: FastAPI) -> None:
    database = app.state.database
    ada, superuser = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    async with signed_in_client(app, ada) as user_browser, signed_in_client(app, superuser) as boss_client:
        await impersonate(app, boss_client, superuser, ada)
        for _ in range(2):
            boss_page, user_page = (await boss_client.get("/cached")).text, (await user_browser.get("/cached")).text
            assert boss_page.startswith("<!doctype html><html><BODY class='own'>")
            assert (boss_page.count(BANNER), user_page.count(BANNER)) == (1, 0)
            assert "ada@example.com" in user_page
        refused = await boss_client.get("/accounts/password", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.text.count(BANNER)) == (403, 1)
