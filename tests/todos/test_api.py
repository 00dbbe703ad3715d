"""API of to-dos."""

import json
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.todos.schemas import TodoStatistics
from app.todos.service import Todos
from opportune.accounts import User
from opportune.crud import reading
from opportune.db import Database, utc_now
from opportune.testing import make_token
from tests.todos.conftest import MakeTodo

TODOS = "/api/v1/todos"
ROUTES = [
    ("GET", TODOS),
    ("POST", TODOS),
    ("GET", f"{TODOS}/statistics"),
    ("GET", f"{TODOS}/1"),
    ("PATCH", f"{TODOS}/1"),
    ("DELETE", f"{TODOS}/1"),
]
INVALID_TODOS: list[Any] = [
    {},
    {"title": None},
    {"title": ""},
    {"title": "  "},
    {"title": "a" * 201},
    {"title": "two\nlines"},
    {"title": "NUL \0"},
    {"title": "half \ud800"},
    {"title": ["Buy milk"]},
    {"title": "Buy milk", "notes": "a" * 2001},
    {"title": "Buy milk", "notes": "NUL \0"},
    {"title": "Buy milk", "due_on": "2026-02-30"},
    ["Buy milk"],
    None,
]
INVALID_CHANGES = [{"title": ""}, {"title": None}, {"notes": None}, {"done": "perhaps"}, {"due_on": "soon"}]
INVALID_FILTERS = [
    "state=lost",
    "nonsense=1",
    "due_on__nearly=2026-01-01",
    "due_on__gte=soon",
    "page=0",
    f"page={2**63}",
    "size=101",
    "q=%00",
    "sort=owner_id",
    "sort=--title",
]
INVALID_IDS = ["1", "-1", 2**63, "milk", "%00"]


async def list_titles(browser: AsyncClient, query: str = "") -> list[str]:
    response = await browser.get(f"{TODOS}?{query}")
    return [item["title"] for item in response.json()["items"]]


async def request_statuses(browser: AsyncClient, path: str) -> list[int]:
    """Return the status codes of reading, changing and deleting this path."""
    responses = [await browser.get(path), await browser.patch(path, json={"done": True}), await browser.delete(path)]
    return [response.status_code for response in responses]


async def test_sign_in_is_required(client: AsyncClient) -> None:
    for method, path in ROUTES:
        response = await client.request(
            method, path, json={"title": "Buy milk"} if method in ("POST", "PATCH") else None
        )

        assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json"), (
            method,
            path,
        )


async def test_todo_is_created_and_read(browser: AsyncClient) -> None:
    created = await browser.post(TODOS, json={"title": " Buy milk ", "notes": "2 litres", "due_on": "2026-03-10"})
    assert created.status_code == 201

    fetched = await browser.get(f"{TODOS}/{created.json()['id']}")
    assert fetched.json() == created.json()
    assert fetched.json().items() >= {"title": "Buy milk", "due_on": "2026-03-10", "done_at": None}.items()


async def test_invalid_todo_is_refused(browser: AsyncClient) -> None:
    for body in INVALID_TODOS:
        # Not json=body: httpx2 does not send lone surrogates.
        response = await browser.post(TODOS, content=json.dumps(body), headers={"Content-Type": "application/json"})

        assert response.status_code == 422, body
    assert await list_titles(browser) == []


async def test_missing_todo_is_not_found(browser: AsyncClient) -> None:
    for todo_id in INVALID_IDS:
        assert await request_statuses(browser, f"{TODOS}/{todo_id}") == [404, 404, 404], todo_id


async def test_invalid_filter_is_refused(browser: AsyncClient) -> None:
    for query in INVALID_FILTERS:
        assert (await browser.get(f"{TODOS}?{query}")).status_code == 422, query


async def test_owner_and_id_are_ignored(browser: AsyncClient, bob: User) -> None:
    body = {"title": "Mine", "id": 99, "owner_id": bob.id, "created_at": "2000-01-01T00:00:00Z"}
    created = (await browser.post(TODOS, json=body)).json()
    assert created["id"] != 99
    assert not created["created_at"].startswith("2000")

    changed = (await browser.patch(f"{TODOS}/{created['id']}", json=body)).json()
    assert changed == created
    assert await list_titles(browser) == ["Mine"]


async def test_invalid_change_is_refused(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann, "Buy milk")

    for body in INVALID_CHANGES:
        assert (await browser.patch(f"{TODOS}/{todo.id}", json=body)).status_code == 422, body
    assert await list_titles(browser) == ["Buy milk"]


async def test_deleted_todo_is_not_found(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann)

    assert (await browser.delete(f"{TODOS}/{todo.id}")).status_code == 204
    assert (await browser.get(f"{TODOS}/{todo.id}")).status_code == 404


async def test_change_keeps_omitted_fields(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann, "Buy milk", notes="2 litres", due_on=utc_now().date())

    response = await browser.patch(f"{TODOS}/{todo.id}", json={"done": True, "due_on": None})

    assert response.status_code == 200
    assert response.json()["done_at"]
    assert response.json().items() >= {"title": "Buy milk", "notes": "2 litres", "due_on": None}.items()
    assert (await browser.patch(f"{TODOS}/{todo.id}", json={"done": False})).json()["done_at"] is None


async def test_todo_of_another_user_is_not_found(browser: AsyncClient, bob: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(bob, "Secret")

    assert await request_statuses(browser, f"{TODOS}/{todo.id}") == [404, 404, 404]
    assert await list_titles(browser) == []


async def test_list_is_filtered_and_paginated(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    today = utc_now().date()
    for days in range(5):
        await make_todo(ann, f"Day {days}", due_on=today + timedelta(days))

    response = (await browser.get(f"{TODOS}?due_on__gte={today + timedelta(1)}&size=3&page=2")).json()

    assert [item["title"] for item in response["items"]] == ["Day 4"]
    assert (response["total"], response["page"], response["pages"]) == (4, 2, 2)
    assert await list_titles(browser, "q=day 3") == ["Day 3"]


async def test_overdue_todos_were_due_before_today(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    long_ago = utc_now().date() - timedelta(30)
    await make_todo(ann, "Late", due_on=long_ago)
    await make_todo(ann, "Late but done", due_on=long_ago, done_at=utc_now())
    await make_todo(ann, "Early", due_on=utc_now().date() + timedelta(30))

    assert await list_titles(browser, "state=overdue") == ["Late"]
    response = await browser.get(f"{TODOS}/statistics")
    assert response.json() == {"total": 3, "open": 2, "done": 1, "overdue": 1}


async def test_data_layer_can_be_overridden(app: FastAPI, client: AsyncClient) -> None:
    class FixedTodos:
        async def statistics(self) -> TodoStatistics:
            return TodoStatistics(total=3, open=2, done=1, overdue=0)

    app.dependency_overrides[reading(Todos).dependency] = FixedTodos

    response = await client.get(f"{TODOS}/statistics")

    assert (response.status_code, response.json()["total"]) == (200, 3)


async def test_token_scopes_limit_methods(
    client: AsyncClient, database: Database, make_todo: MakeTodo, ann: User
) -> None:
    todo = await make_todo(ann)
    for scope, read_status, write_status in (("todos:read", 200, 403), ("todos:write", 403, 200)):
        client.headers["authorization"] = f"Bearer {await make_token(database, ann, scope)}"
        assert [(await client.get(path)).status_code for path in (TODOS, f"{TODOS}/{todo.id}")] == [
            read_status,
            read_status,
        ]
        assert (await client.patch(f"{TODOS}/{todo.id}", json={"done": True})).status_code == write_status
        assert (await client.post(TODOS, json={"title": "Tea"})).status_code == (201 if write_status == 200 else 403)
