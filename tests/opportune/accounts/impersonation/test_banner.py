"""The way back stands on every page, whatever its template, and on none that somebody else gets from the cache."""

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
    own = DictLoader({"base.html": OWN_BASE, "page-of-own-base.html": '{% extends "base.html" %}'})
    ours = templates.environment.loader
    assert ours
    monkeypatch.setattr(templates, "environment", templates.environment.overlay(loader=ChoiceLoader([own, ours])))
    app = quiet_app(settings, (accounts, Feature(name="keeping", summary="Keeps pages.", pages=router)))
    async with app.router.lifespan_context(app):
        yield app


async def as_somebody(app: FastAPI, boss: AsyncClient, superuser: User, person: User) -> None:
    """Have this browser of a superuser's go on as this person."""
    async with app.state.database.writer() as session:
        here = (await session.scalars(select(Session).where(col(Session.user_id) == superuser.id))).one()
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, here, person.id, "She asked")
    boss.cookies.set(cookie_name(app.state.settings), token)


async def test_a_base_of_the_projects_own_and_errors_have_the_way_back_and_kept_pages_are_not_mixed(
    app: FastAPI,
) -> None:
    database = app.state.database
    ada, superuser = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    async with signed_in_client(app, ada) as hers, signed_in_client(app, superuser) as boss:
        await as_somebody(app, boss, superuser, ada)
        for _ in range(2):
            shown, own = (await boss.get("/kept")).text, (await hers.get("/kept")).text
            assert shown.startswith("<!doctype html><html><BODY class='own'>")
            assert (shown.count(BANNER), own.count(BANNER)) == (1, 0)
            assert "ada@example.com" in own
        refused = await boss.get("/accounts/password", headers={"Accept": "text/html"})
    assert (refused.status_code, refused.text.count(BANNER)) == (403, 1)
