from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient
from jinja2 import DictLoader
from sqlalchemy import Executable, MetaData, delete
from sqlmodel import Field, SQLModel, col

from opportune.accounts.groups.permissions import FORBIDDEN, may, read_grants
from opportune.accounts.models import Grant, Membership, User
from opportune.accounts.tokens.service import create_token
from opportune.application import create_app
from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.testing.factories import grant, make_user, signed_in_client
from opportune.testing.plugin import settings_for
from opportune.testing.quiet_app import quiet_app
from opportune.web import templates

pytestmark = pytest.mark.database("sqlite")

PAGE, API = "/cakes", "/api/v1/cakes"


class Table(SQLModel):
    # Apart from the project's own tables, which migrations make; these are never asked.
    metadata = MetaData()

    id: int = Field(default=None, primary_key=True)


class Cake(Table, table=True):
    __tablename__ = "cakes_cake"


class PieCrust(Table, table=True):
    __tablename__ = "cakes_pie_crust"


pages, api = APIRouter(), APIRouter()
May = Annotated[User, may("cake", "export")]


@pages.get(PAGE)
async def show(user: May) -> dict[str, str]:
    return {"email": user.email}


@api.get("/cakes", responses=FORBIDDEN)
async def export(user: May) -> dict[str, str]:
    return {"email": user.email}


@pages.get("/cakes/shown")
async def shown(request: Request) -> Response:
    return templates.render(request, "cakes/shown.html")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The site with a route that needs a right, as a page and in the API."""
    cakes = Feature(name="cakes", summary="Cakes.", models=[Cake, PieCrust], pages=pages, api=api)
    site = quiet_app(settings, [*installed_features(), cakes])
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


async def test_a_grant_of_a_group_opens_it_superusers_may_do_everything_and_others_are_refused(
    client: AsyncClient, app: FastAPI, database: Database
) -> None:
    page, program = await client.get(PAGE), await client.get(API)

    assert (page.status_code, page.headers["location"]) == (303, f"/accounts/login?next={PAGE.replace('/', '%2F')}")
    assert (program.status_code, program.headers["www-authenticate"]) == (401, "Bearer")

    user, staff = await make_user(database), await make_user(database, is_staff=True)
    for identity, action in [("cake", "list"), ("pie-crust", "*"), ("*", "list")]:
        await grant(database, staff, identity, action)

    assert await statuses(app, user) == (403, 403)
    assert await statuses(app, staff) == (403, 403)

    for identity, action in [("cake", "export"), ("cake", "*"), ("*", "export"), ("*", "*")]:
        user = await make_user(database)
        await grant(database, user, identity, action)
        assert await statuses(app, user) == (200, 200), (identity, action)

    assert await statuses(app, await make_user(database, is_superuser=True)) == (200, 200)


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


def test_the_documentation_says_who_is_refused() -> None:
    site = FastAPI()
    site.include_router(api)
    said = site.openapi()["paths"]["/cakes"]["get"]
    assert "403" in said["responses"]
    assert "security" in said


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The text of the page that shows what somebody may."""
    texts = {"cakes/shown.html": """{% if may("cake", "edit") %}may{% else %}may not{% endif %}"""}
    monkeypatch.setattr(templates.environment, "loader", DictLoader(texts))
    return texts


@pytest.mark.usefixtures("template")
async def test_a_template_asks_what_somebody_may(app: FastAPI, database: Database) -> None:
    stranger = AsyncClient(transport=ASGITransport(app), base_url="http://testserver")
    assert (await stranger.get("/cakes/shown")).text == "may not"
    nobody, superuser = await make_user(database), await make_user(database, is_superuser=True)
    for user, said in ((nobody, "may not"), (superuser, "may")):
        async with signed_in_client(app, user) as client:
            assert (await client.get("/cakes/shown")).text == said
    group = await grant(database, nobody, "cake", "edit")
    await grant(database, nobody, "pie-crust", "action:bake")
    async with signed_in_client(app, nobody) as client:
        assert (await client.get("/cakes/shown")).text == "may"
        async with database.writer() as session:
            await session.execute(delete(Grant).where(col(Grant.group_id) == group.id))
        assert (await client.get("/cakes/shown")).text == "may not"


async def test_a_page_asks_the_database_once_for_the_user_and_all_that_they_may(
    app: FastAPI, template: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    template["cakes/shown.html"] *= 3
    asked: list[str] = []
    lookup = app.state.database.lookup

    async def count(statement: Executable, parameters: Mapping[str, Any]) -> Any:
        asked.append(str(statement))
        return await lookup(statement, parameters)

    user = await make_user(app.state.database)
    async with signed_in_client(app, user) as client:
        monkeypatch.setattr(app.state.database, "lookup", count)
        monkeypatch.setattr(app.state.database, "reader", None)
        assert (await client.get("/cakes/shown")).text == "may not" * 3
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ('may("pie_crust", "edit")', "there is no model 'pie_crust' in an installed feature. Did you mean pie-crust?"),
        ('may("cake", "edti")', "cake has no action 'edti': create, delete, details, edit, export, import, list. Did"),
    ],
)
async def test_a_template_that_asks_for_what_nobody_can_be_granted_is_an_error(
    client: AsyncClient, template: dict[str, str], caplog: pytest.LogCaptureFixture, asked: str, said: str
) -> None:
    template["cakes/shown.html"] = f"{{{{ {asked} }}}}"
    template["error.html"] = "An error."
    assert (await client.get("/cakes/shown")).status_code == 500
    assert f"{asked.replace(chr(34), chr(39))}: {said}" in caplog.text


def test_a_route_that_asks_for_what_nobody_can_be_granted_is_refused_when_the_site_starts() -> None:
    router = APIRouter()

    @router.get("/pies", dependencies=[may("cake", "eat")])
    async def eat() -> None: ...

    with pytest.raises(OperatorError, match=r"^/pies: may\('cake', 'eat'\): cake has no action 'eat': create, "):
        create_app(settings_for("sqlite:///unused.db"), [Feature(name="cakes", summary="", models=[Cake], api=router)])


async def test_code_that_knows_no_request_asks_for_a_user(database: Database) -> None:
    baker, superuser = await make_user(database), await make_user(database, is_superuser=True)
    await grant(database, baker, "cake", "edit")
    async with database.reader() as session:
        assert await read_grants(session, baker) == {("cake", "edit")}
        assert await read_grants(session, superuser) == {("*", "*")}
        assert await read_grants(session, None) == set()
