"""API of to-dos, and the tools of language models."""

import json
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import toolbox_of
from opportune.db import utc_now
from tests.todos.conftest import MakeTodo

TODOS = "/api/v1/todos"


async def test_change_keeps_omitted_fields(browser: AsyncClient, ann: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(ann, "Buy milk", notes="2 litres", due_on=utc_now().date())
    response = await browser.patch(f"{TODOS}/{todo.id}", json={"done": True, "due_on": None})
    assert response.status_code == 200
    assert response.json()["done_at"]
    assert response.json().items() >= {"title": "Buy milk", "notes": "2 litres", "due_on": None}.items()
    assert (await browser.patch(f"{TODOS}/{todo.id}", json={"done": False})).json()["done_at"] is None


async def test_export_has_only_own_todos(browser: AsyncClient, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy milk", notes="two litres")
    await make_todo(bob, "Hide")
    rows = (await browser.get("/api/v1/users/me/export")).json()["todos"]["todo"]
    assert [(row["title"], row["notes"]) for row in rows] == [("Buy milk", "two litres")]
    assert "owner_id" not in rows[0]


async def call_tool(app: FastAPI, user: User | None, name: str, /, **arguments: Any) -> tuple[str, bool]:
    """Return the text of the result, and whether it is an error."""
    result = await toolbox_of(app).call(ToolCall("call_0", name, json.dumps(arguments)), user)
    return result.text, result.is_error


async def test_tool_lists_only_own_todos(app: FastAPI, ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Buy milk")
    await make_todo(bob, "Sell milk")
    text, _ = await call_tool(app, ann, "list_todos")
    assert [todo["title"] for todo in json.loads(text)] == ["Buy milk"]
    assert await call_tool(app, ann, "list_todos", state="done") == ("[]", False)
    assert await call_tool(app, None, "list_todos") == ("The user has to sign in first.", True)
    assert "state" in (await call_tool(app, ann, "list_todos", state="lost"))[0]


async def test_tool_adds_a_todo_after_approval(app: FastAPI, ann: User) -> None:
    assert toolbox_of(app).asks("create_todo")
    assert not toolbox_of(app).asks("list_todos")
    assert await call_tool(app, ann, "create_todo", todo={"title": "Buy milk"}) == ("Added: Buy milk", False)
    assert "Buy milk" in (await call_tool(app, ann, "list_todos"))[0]
    text, is_error = await call_tool(app, ann, "create_todo", todo={"title": "", "owner_id": 1})
    assert is_error
    assert "title" in text
