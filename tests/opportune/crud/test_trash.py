"""Rows that the data layer and its API move to the trash."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import User
from opportune.accounts.flows.deletion import delete_personal_data, read_personal_data
from opportune.crud import Permission
from opportune.db import with_deleted
from opportune.db.constraint_errors import HELD_BY_TRASH
from opportune.testing import make_user, signed_in_client
from tests.opportune.crud.trash_feature import TOOLS, OpenTools, Tool, Tools, app
from tests.opportune.stored_rows import add_rows, read_all

__all__ = ["app"]  # a fixture: a site with tools


@pytest.fixture
async def owner(app: FastAPI) -> User:
    return await make_user(app.state.database)


@pytest.fixture
async def client(app: FastAPI, owner: User) -> AsyncIterator[AsyncClient]:
    """Client of the owner of a saw, and of a hammer in the trash."""
    for name in ("Hammer", "Saw"):
        await add_rows(app, Tool(name=name, owner_id=owner.id))
    async with signed_in_client(app, owner) as client:
        assert (await client.delete(f"{TOOLS}/1")).status_code == 204
        yield client


async def _names(client: AsyncClient, query: str = "") -> list[str]:
    page = (await client.get(f"{TOOLS}{query}")).json()
    assert page["total"] == len(page["items"])
    return [tool["name"] for tool in page["items"]]


async def _stored_names(app: FastAPI) -> list[str]:
    return await read_all(app, with_deleted(select(col(Tool.name)).order_by(col(Tool.id))))


async def test_deleted_row_is_not_found(client: AsyncClient) -> None:
    assert await _names(client) == await _names(client, "?sort=") == ["Saw"]
    for method in ("GET", "PATCH", "DELETE"):
        assert (await client.request(method, f"{TOOLS}/1", json={"name": "Axe"})).status_code == 404
    assert "Hammer" not in (await client.get("/tools")).text
    assert (await client.get("/tools/1")).status_code == 404


async def test_page_deletes_and_undoes(client: AsyncClient) -> None:
    assert 'action="/tools/2/delete"' in (await client.get("/tools/2")).text
    assert "It moves to the trash." in (await client.get("/tools/2/delete")).text
    assert 'action="/tools/2/restore"' in (await client.post("/tools/2/delete", follow_redirects=True)).text
    assert (await client.post("/tools/2/restore")).headers["location"] == "/tools/2"
    assert (await client.post("/tools/2/restore")).status_code == 404


async def test_trash_lists_deleted_rows(client: AsyncClient) -> None:
    (tool,) = (await client.get(f"{TOOLS}?deleted=true")).json()["items"]
    assert (tool["name"], tool["deleted_at"] is not None) == ("Hammer", True)
    assert await _names(client, "?deleted=false") == ["Saw"]


TRASH_REQUESTS = [("GET", "?deleted=true"), ("POST", "/1/restore"), ("DELETE", "/1?permanently=true")]


async def test_trash_is_closed_to_others(app: FastAPI, client: AsyncClient) -> None:
    async with signed_in_client(app, await make_user(app.state.database)) as stranger:
        assert await _names(stranger, "?deleted=true") == []
        responses = [await stranger.request(method, f"{TOOLS}{path}") for method, path in TRASH_REQUESTS]
    assert [response.status_code for response in responses] == [200, 404, 404]
    for method, path in TRASH_REQUESTS:
        assert (await client.request(method, f"/api/v1/open-tools{path}")).status_code == 403, "needs the permission"
    client.cookies.clear()
    for method, path in TRASH_REQUESTS:
        assert (await client.request(method, f"{TOOLS}{path}")).status_code == 401


class SharedTools(Tools):
    default = False
    read_permission, write_permission = Permission.SIGNED_IN, Permission.OWNER_OR_PERMITTED


@pytest.mark.parametrize(("action", "names"), [("update", []), ("delete", ["Hammer"])])
async def test_trash_has_the_rows_to_restore(app: FastAPI, client: AsyncClient, action: str, names: list[str]) -> None:
    async with app.state.database.reader() as session:
        tools = SharedTools(session, await make_user(app.state.database), {("tool", action)})
        assert [tool.name for tool in (await tools.list(tools.Filter(deleted=True))).items] == names


async def test_restored_row_is_listed(client: AsyncClient) -> None:
    response = await client.post(f"{TOOLS}/1/restore")
    assert (response.status_code, response.json()["deleted_at"]) == (200, None)
    assert await _names(client) == ["Hammer", "Saw"]
    for row_id in (1, 9):
        assert (await client.post(f"{TOOLS}/{row_id}/restore")).status_code == 404, "it is not in the trash"


async def test_permanent_deletion(app: FastAPI, client: AsyncClient) -> None:
    for tool in (1, 2):
        assert (await client.delete(f"{TOOLS}/{tool}?permanently=true")).status_code == 204
    assert await _stored_names(app) == []


async def test_users_without_permission_read_no_rows(app: FastAPI, client: AsyncClient, owner: User) -> None:
    admin = await make_user(app.state.database, is_superuser=True)
    async with app.state.database.reader() as session:
        former = await make_user(app.state.database, is_superuser=True, is_active=False)
        for user, names in ((owner, []), (None, []), (former, []), (admin, ["Saw"])):
            tools = OpenTools(session, user)
            assert [*await session.scalars(select(col(Tool.name)).where(tools.readable()))] == names


async def test_trash_columns_are_not_writable(client: AsyncClient) -> None:
    assert (await client.patch(f"{TOOLS}/2", json={"deleted_at": "2026-01-01T00:00:00Z"})).status_code == 422


@pytest.mark.database("sqlite", "postgresql")
async def test_error_says_that_the_trash_holds_a_unique_value(client: AsyncClient) -> None:
    deleted, active = ("POST", "", "Hammer", True), ("POST", "", "Saw", False)
    for method, path, name, is_in_trash in (deleted, ("PATCH", "/2", "Hammer", True), active):
        response = await client.request(method, f"{TOOLS}{path}", json={"name": name})
        assert (response.status_code, HELD_BY_TRASH in response.text) == (422, is_in_trash), (method, name)
        assert [error["field"] for error in response.json()["errors"]] == [["name"]], "not the owner, who is protected"


async def test_trash_is_exported_and_deleted_as_personal_data(app: FastAPI, owner: User, client: AsyncClient) -> None:
    async with app.state.database.reader() as session:
        rows = await read_personal_data(session, app.state.features, owner)
    tools = rows["workshop"]["tool"]
    assert [tool["name"] for tool in tools] == ["Hammer", "Saw"]
    assert "deleted_by_id" not in tools[0]
    async with app.state.database.writer() as session:
        await delete_personal_data(session, app.state.features, owner)
    assert await _stored_names(app) == []
