"""Permissions of groups and their names."""

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from httpx2 import AsyncClient
from jinja2 import DictLoader
from sqladmin import authorization
from sqladmin.helpers import slugify_class_name
from sqlalchemy import Executable, delete
from sqlmodel import col

from opportune.accounts import FORBIDDEN, may, read_permissions
from opportune.accounts.models import GroupPermission, User
from opportune.accounts.permissions import ACTIONS, WILDCARD, identity_of, matches_permission
from opportune.application import create_app
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.feature import Feature
from opportune.testing.factories import add_permission, make_user, signed_in_client
from opportune.testing.plugin import settings_for
from opportune.web import templates
from tests.opportune.accounts.conftest import new_client
from tests.opportune.admin.bookshelf_feature import Book, BookTag
from tests.opportune.site_with import site_fixture

PAGE, API = "/books", "/api/v1/books"
pages, api = APIRouter(), APIRouter()
ExportUser = Annotated[User, may("book", "export")]


@pages.get(PAGE)
async def show(user: ExportUser) -> dict[str, str]:
    return {"email": user.email}


@api.get("/books", responses=FORBIDDEN)
async def export(user: ExportUser) -> dict[str, str]:
    return {"email": user.email}


@pages.get("/books/shown")
async def shown(request: Request) -> Response:
    return templates.render(request, "books/shown.html")


app = site_fixture(Feature("books", "Books.", models=[Book, BookTag], pages=pages, api=api))


async def get_statuses(app: FastAPI, user: User) -> tuple[int, int]:
    async with signed_in_client(app, user) as client:
        return (await client.get(PAGE)).status_code, (await client.get(API)).status_code


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ([], 403),
        ([("book", "list"), ("book-tag", "*"), ("*", "list")], 403),
        ([("book", "export")], 200),
        ([("*", "export")], 200),
    ],
)
async def test_group_permits_a_route(app: FastAPI, user: User, permissions: list[tuple[str, str]], status: int) -> None:
    for identity, action in permissions:
        await add_permission(app.state.database, user, identity, action)
    assert await get_statuses(app, user) == (status, status)


async def test_staff_need_permissions_and_superusers_do_not(app: FastAPI, database: Database) -> None:
    assert await get_statuses(app, await make_user(database, is_staff=True)) == (403, 403)
    assert await get_statuses(app, await make_user(database, is_superuser=True)) == (200, 200)


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Templates of a page that checks a permission."""
    texts = {"books/shown.html": """{% if may("book", "update") %}may{% else %}may not{% endif %}"""}
    monkeypatch.setattr(templates.environment, "loader", DictLoader(texts))
    return texts


@pytest.mark.usefixtures("template")
async def test_template_checks_a_permission(app: FastAPI, database: Database) -> None:
    assert (await new_client(app).get("/books/shown")).text == "may not"
    user_without_permissions, superuser = await make_user(database), await make_user(database, is_superuser=True)
    for user, message in ((user_without_permissions, "may not"), (superuser, "may")):
        async with signed_in_client(app, user) as client:
            assert (await client.get("/books/shown")).text == message
    group = await add_permission(database, user_without_permissions, "book", "update")
    await add_permission(database, user_without_permissions, "book-tag", "action:lend")
    async with signed_in_client(app, user_without_permissions) as client:
        assert (await client.get("/books/shown")).text == "may"
        async with database.writer() as session:
            await session.execute(delete(GroupPermission).where(col(GroupPermission.group_id) == group.id))
        assert (await client.get("/books/shown")).text == "may not"


async def test_one_permission_query(app: FastAPI, template: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    template["books/shown.html"] *= 3
    queries: list[str] = []
    lookup = app.state.database.lookup

    async def record_query(statement: Executable, parameters: Mapping[str, Any]) -> Any:
        queries.append(str(statement))
        return await lookup(statement, parameters)

    user = await make_user(app.state.database)
    async with signed_in_client(app, user) as client:
        monkeypatch.setattr(app.state.database, "lookup", record_query)
        monkeypatch.setattr(app.state.database, "reader", None)
        assert (await client.get("/books/shown")).text == "may not" * 3
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('may("book_tag", "list")', "there is no model 'book_tag' in an installed feature. Did you mean book-tag?"),
        (
            'may("book", "updte")',
            "book has no action 'updte'. There are: create, delete, export, get, import, list, update.",
        ),
    ],
)
async def test_unknown_permission_in_a_template_is_an_error(
    client: AsyncClient, template: dict[str, str], caplog: pytest.LogCaptureFixture, call: str, message: str
) -> None:
    template["books/shown.html"] = f"{{{{ {call} }}}}"
    template["error.html"] = "An error."
    assert (await client.get("/books/shown")).status_code == 500
    assert f"{call.replace(chr(34), chr(39))}: {message}" in caplog.text


def test_unknown_permission_of_a_route_is_refused_at_start() -> None:
    router = APIRouter()

    @router.get("/loans", dependencies=[may("book", "lend")])
    async def lend() -> None: ...

    with pytest.raises(OperatorError, match=r"^/loans: may\('book', 'lend'\): book has no action 'lend'"):
        create_app(settings_for("sqlite:///unused.db"), [Feature("books", models=[Book], api=router)])


async def test_read_permissions_works_without_a_request(database: Database) -> None:
    librarian, superuser = await make_user(database), await make_user(database, is_superuser=True)
    await add_permission(database, librarian, "book", "update")
    await add_permission(database, await make_user(database), "book", "delete")
    async with database.reader() as session:
        assert await read_permissions(session, librarian) == {("book", "update")}
        assert await read_permissions(session, superuser) == {("*", "*")}
        assert await read_permissions(session, None) == set()
        superuser.is_active = False
        assert await read_permissions(session, superuser) == set()


def test_actions_match_sqladmin() -> None:
    names = [RENAMED_ACTIONS.get(action, str(action)) for action in authorization.ACTIONS]
    assert (*names, authorization.WILDCARD) == (*ACTIONS, WILDCARD)


@pytest.mark.parametrize("name", ["Book", "BookTag", "LLMUsage", "Oauth2Grant", "ABTest", "X"])
def test_identities_match_sqladmin(name: str) -> None:
    assert identity_of(type(name, (), {})) == slugify_class_name(name)


def test_permissions_match_sqladmin() -> None:
    words = ["book", "tag", "*", "list", "update"]
    for held, requested in product(product(words, words), product(words, words)):
        case = held, requested
        assert matches_permission({held}, *requested) == authorization.matches_grant({held}, *requested), case
