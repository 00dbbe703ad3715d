"""API of to-dos, the tools of language models, and the recorded changes of each channel."""

import json
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from app.todos.models import Todo
from opportune.accounts import User
from opportune.admin.models import AuditEntry
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import toolbox_of
from opportune.db import utc_now
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.testing import make_token
from tests.todos.conftest import MakeTodo

TODOS = "/api/v1/todos"


async def test_change_keeps_omitted_fields(browser: AsyncClient, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user, "Buy milk", notes="2 litres", due_on=utc_now().date())
    response = await browser.patch(f"{TODOS}/{todo.id}", json={"done": True, "due_on": None})
    assert response.status_code == 200
    assert response.json()["done_at"]
    assert response.json().items() >= {"title": "Buy milk", "notes": "2 litres", "due_on": None}.items()
    assert (await browser.patch(f"{TODOS}/{todo.id}", json={"done": False})).json()["done_at"] is None


async def test_export_has_only_own_todos(browser: AsyncClient, user: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(user, "Buy milk", notes="two litres")
    await make_todo(bob, "Hide")
    rows = (await browser.get("/api/v1/users/me/export")).json()["todos"]["todo"]
    assert [(row["title"], row["notes"]) for row in rows] == [("Buy milk", "two litres")]
    assert "owner_id" not in rows[0]


async def call_tool(app: FastAPI, user: User | None, name: str, /, **arguments: Any) -> tuple[str, bool]:
    """Return the text of the result, and whether it is an error."""
    result = await toolbox_of(app).call(ToolCall("call_0", name, json.dumps(arguments)), user)
    return result.text, result.is_error


async def test_tool_lists_only_own_todos(app: FastAPI, user: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(user, "Buy milk")
    await make_todo(bob, "Sell milk")
    text, _ = await call_tool(app, user, "list_todos")
    assert [todo["title"] for todo in json.loads(text)] == ["Buy milk"]
    assert await call_tool(app, user, "list_todos", state="done") == ("[]", False)
    assert await call_tool(app, None, "list_todos") == ("The user has to sign in first.", True)
    assert "state" in (await call_tool(app, user, "list_todos", state="lost"))[0]


async def test_tool_adds_a_todo_after_approval(app: FastAPI, user: User) -> None:
    assert toolbox_of(app).asks("create_todo")
    assert not toolbox_of(app).asks("list_todos")
    assert await call_tool(app, user, "create_todo", todo={"title": "Buy milk"}) == ("Added: Buy milk", False)
    assert "Buy milk" in (await call_tool(app, user, "list_todos"))[0]
    text, is_error = await call_tool(app, user, "create_todo", todo={"title": "", "owner_id": 1})
    assert is_error
    assert "title" in text


async def read_entries(app: FastAPI) -> list[AuditEntry]:
    async with app.state.database.reader(fresh=True) as session:
        statement = select(AuditEntry).where(col(AuditEntry.identity) == "todo").order_by(col(AuditEntry.id))
        return list(await session.scalars(statement))


async def read_changes(app: FastAPI) -> list[tuple[str, str, str]]:
    """Return actor, channel and action of each recorded change."""
    return [(entry.actor, entry.channel, entry.action) for entry in await read_entries(app)]


async def test_changes_record_their_channel(app: FastAPI, client: AsyncClient, user: User, make_todo: MakeTodo) -> None:
    await make_todo(user, "Buy milk")  # like a command, which is not recorded
    headers = {"Authorization": f"Bearer {await make_token(app.state.database, user)}"}
    added = await client.post("/api/v1/todos", json={"title": "Buy milk"}, headers=headers)
    url = f"/api/v1/todos/{added.json()['id']}"
    await client.patch(url, json={"title": "Buy oat milk"}, headers=headers)
    await client.delete(url, headers=headers)
    await toolbox_of(app).call(ToolCall("call_0", "create_todo", '{"todo": {"title": "Buy milk"}}'), user)
    with changes_come_from(ChangeOrigin("job todos.tidy")):
        async with app.state.database.writer() as session:
            session.add(Todo(owner_id=user.id, title="Buy milk"))
    assert await read_changes(app) == [
        *((user.email, "api", action) for action in ("create", "update", "delete")),
        (user.email, "tool create_todo", "create"),
        ("", "job todos.tidy", "create"),
    ]
    assert (await read_entries(app))[1].changes["title"] == ["Buy milk", "Buy oat milk"]
