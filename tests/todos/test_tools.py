"""Tools with which a language model lists and adds to-dos."""

import json
from typing import Any

from fastapi import FastAPI

from opportune.accounts import User
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import toolbox_of
from tests.todos.conftest import MakeTodo


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
