"""JSON API of assistants, prompts, memory and collections: for their owners, with the permissions of the pages."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.opportune.contrib.teams.conftest import Clients

NEW: dict[str, dict[str, Any]] = {
    "/assistants": {"name": "Librarian", "instructions": "Be short.", "starters": ["Why?"]},
    "/knowledge": {"name": "Handbook"},
}
INVALID: dict[str, dict[str, Any]] = {"/assistants": {"name": "x", "icon": "fa"}, "/knowledge": {"name": "x" * 101}}
PATHS = pytest.mark.parametrize("path", NEW)


@PATHS
async def test_owner_creates_lists_changes_and_deletes(clients: Clients, path: str) -> None:
    member, api = clients["member"], f"/api/v1{path}"
    created = await member.post(api, json=NEW[path])
    row = f"{api}/{created.json()['id']}"
    assert created.status_code == 201
    assert [item["id"] for item in (await member.get(api)).json()["items"]] == [created.json()["id"]]
    assert (await member.patch(row, json={"name": "Changed"})).json()["name"] == "Changed"
    assert (await member.delete(row)).status_code == 204
    assert (await member.get(row)).status_code == 404


@PATHS
async def test_other_users_find_nothing(clients: Clients, path: str) -> None:
    row = f"/api/v1{path}/{(await clients['member'].post(f'/api/v1{path}', json=NEW[path])).json()['id']}"
    stranger = clients["stranger"]
    assert (await stranger.get(f"/api/v1{path}")).json()["items"] == []
    for response in (await stranger.get(row), await stranger.patch(row, json={}), await stranger.delete(row)):
        assert response.status_code == 404


@PATHS
async def test_invalid_values_are_refused(clients: Clients, path: str) -> None:
    for values in ({}, INVALID[path], NEW[path] | {"owner_id": 1}):
        assert (await clients["member"].post(f"/api/v1{path}", json=values)).status_code == 422, values


@PATHS
async def test_visitors_are_refused(client: AsyncClient, path: str) -> None:
    assert (await client.get(f"/api/v1{path}")).status_code == 401
    assert (await client.post(f"/api/v1{path}", json=NEW[path])).status_code == 401


@pytest.mark.parametrize(
    ("path", "values"), [("/assistants", {"shared_with": "site"}), ("/knowledge", {"is_site": True})]
)
async def test_only_staff_share_with_everyone(clients: Clients, path: str, values: dict[str, Any]) -> None:
    assert (await clients["member"].post(f"/api/v1{path}", json=NEW[path] | values)).status_code == 422


@pytest.mark.parametrize(("name", "length"), [("tools", 100), ("knowledge", 100), ("starters", 1_000)])
async def test_items_of_an_assistant_have_a_maximum_length(clients: Clients, name: str, length: int) -> None:
    for size, status in ((length, 201), (length + 1, 422)):
        values = NEW["/assistants"] | {name: ["x" * size]}
        assert (await clients["member"].post("/api/v1/assistants", json=values)).status_code == status
