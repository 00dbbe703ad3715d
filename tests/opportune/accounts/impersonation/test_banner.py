"""The banner of an impersonation is on every page and never cached for other users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx import AsyncClient
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import OptionalUser
from opportune.accounts.feature import accounts
from opportune.accounts.impersonation.service import start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.users.context import AccountContext
from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.quiet_app import quiet_app
from opportune.web.cache import cached
from opportune.web.client import Client
from opportune.web.rendering.templates import templates

pytestmark = pytest.mark.database("sqlite")

BANNER = 'id="impersonation"'
OWN_BASE = (
    "<!doctype html><html><BODY class='own'><p>{{ user.email }} {% block content %}{% endblock %}</p></body></html>"
)

router = APIRouter()


@router.get("/kept")
@cached(60, per_user=True)
async def kept(request: Request, _user: OptionalUser) -> Response:
    return templates.render(request, "page-of-own-base.html")


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    custom = DictLoader({"base.html": OWN_BASE, "page-of-own-base.html": '{% extends "base.html" %}'})
    our_page = templates.environment.loader
    assert our_page
    monkeypatch.setattr(
        templates, "environment", templates.environment.overlay(loader=ChoiceLoader([custom, our_page]))
    )
    app = quiet_app(settings, (accounts, Feature(name="keeping", summary="Keeps pages.", pages=router)))
    async with app.router.lifespan_context(app):
        yield app


async def impersonated(app: FastAPI, boss: AsyncClient, superuser: User, user: User) -> None:
    """Impersonate a user in this superuser's browser."""
    async with app.state.database.writer() as session:
        here = (await session.scalars(select(Session).where(col(Session.user_id) == superuser.id))).one()
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, here, user.id, "She asked")
    boss.cookies.set(cookie_name(app.state.settings), token)


async def test_banner_is_on_custom_pages_and_never_cached(
    app: FastAPI,
) -> None:
    database = app.state.database
    ada, superuser = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    async with signed_in_client(app, ada) as her_browser, signed_in_client(app, superuser) as boss:
        await impersonated(app, boss, superuser, ada)
        for _ in range(2):
            page, custom = (await boss.get("/kept")).text, (await her_browser.get("/kept")).text
            assert page.startswith("<!doctype html><html><BODY class='own'>")
            assert (page.count(BANNER), custom.count(BANNER)) == (1, 0)
            assert "ada@example.com" in custom
        refused = await boss.get("/accounts/password", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.text.count(BANNER)) == (403, 1)
