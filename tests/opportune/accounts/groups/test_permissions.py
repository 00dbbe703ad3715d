from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.groups.permissions import FORBIDDEN, may
from opportune.accounts.models import Grant, Membership, User
from opportune.accounts.tokens.service import create_token
from opportune.application import create_app
from opportune.db.database import Database
from opportune.feature import Feature
from opportune.project import installed_features
from opportune.settings import Settings
from opportune.testing.factories import grant, make_user, signed_in_client

pytestmark = pytest.mark.database("sqlite")

PAGE, API = "/cakes", "/api/v1/cakes"

pages, api = APIRouter(), APIRouter()
May = Annotated[User, may("cake", "export")]


@pages.get(PAGE)
async def show(user: May) -> dict[str, str]:
    return {"email": user.email}


@api.get("/cakes", responses=FORBIDDEN)
async def export(user: May) -> dict[str, str]:
    return {"email": user.email}


on_both = pytest.mark.database("sqlite", "postgresql")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with a route that needs a right, as a page and in the API."""
    cakes = Feature(name="cakes", summary="Cakes.", pages=pages, api=api)
    site = create_app(settings, [*installed_features(), cakes])
    async with site.router.lifespan_context(site):
        yield site


async def statuses(app: FastAPI, user: User) -> tuple[int, int]:
    async with signed_in_client(app, user) as client:
        return (await client.get(PAGE)).status_code, (await client.get(API)).status_code


@asynccontextmanager
async def program(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    async with app.state.database.writer() as session:
        token = await create_token(session, user, "a program", timedelta(hours=1))
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver", headers=headers) as client:
        yield client


async def test_strangers_are_asked_to_sign_in(client: AsyncClient) -> None:
    page, program = await client.get(PAGE), await client.get(API)

    assert (page.status_code, page.headers["location"]) == (303, f"/accounts/login?next={PAGE.replace('/', '%2F')}")
    assert (program.status_code, program.headers["www-authenticate"]) == (401, "Bearer")


async def test_whoever_is_not_granted_it_is_refused(app: FastAPI, database: Database) -> None:
    user, staff = await make_user(database), await make_user(database, is_staff=True)
    for identity, action in [("cake", "list"), ("pie", "export"), ("pie", "*"), ("*", "list")]:
        await grant(database, staff, identity, action)

    assert await statuses(app, user) == (403, 403)
    assert await statuses(app, staff) == (403, 403)


async def test_a_grant_of_a_group_opens_it(app: FastAPI, database: Database) -> None:
    for identity, action in [("cake", "export"), ("cake", "*"), ("*", "export"), ("*", "*")]:
        user = await make_user(database)
        await grant(database, user, identity, action)
        assert await statuses(app, user) == (200, 200), (identity, action)


async def test_superusers_may_do_everything(app: FastAPI, database: Database) -> None:
    assert await statuses(app, await make_user(database, is_superuser=True)) == (200, 200)


@on_both
@pytest.mark.parametrize("model", [Grant, Membership])
async def test_a_right_that_is_taken_ends_at_the_next_request(
    app: FastAPI, database: Database, model: type[Grant | Membership]
) -> None:
    user = await make_user(database)
    group = await grant(database, user, "cake", "export")
    async with signed_in_client(app, user) as browser, program(app, user) as tool:
        before = [(await each.get(API)).status_code for each in (browser, tool)]
        async with database.writer() as session:
            await session.execute(delete(model).where(col(model.group_id) == group.id))
        after = [(await each.get(API)).status_code for each in (browser, tool)]

    assert (before, after) == ([200, 200], [403, 403])


async def test_a_program_may_do_what_its_owner_may(app: FastAPI, database: Database) -> None:
    baker, visitor = await make_user(database), await make_user(database)
    await grant(database, baker, "cake", "export")

    async with program(app, baker) as tool:
        assert (await tool.get(API)).json() == {"email": baker.email}
    async with program(app, visitor) as tool:
        assert (await tool.get(API)).status_code == 403


async def test_the_documentation_says_who_is_refused(client: AsyncClient) -> None:
    document = (await client.get("/api/openapi.json")).json()

    assert "403" in document["paths"][API]["get"]["responses"]
    assert "security" in document["paths"][API]["get"]
