"""Fixtures of the tests of to-dos."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.todos.models import Todo
from opportune.accounts import User
from opportune.testing import Make
from opportune.testing.fixtures import user as bob
from opportune.testing.fixtures import user_client as browser

__all__ = ["bob", "browser"]
NUMBER = re.compile(r"\d[\d,]*")
MakeTodo = Callable[..., Awaitable[Todo]]


def board_numbers(html: str) -> list[str]:
    """Return the numbers above the list: to-dos in total, open, done and overdue."""
    status = re.search(r'id="board".*?<p[^>]* role="status">(.*?)</p>', html, re.DOTALL)
    assert status
    return NUMBER.findall(re.sub(r"<[^>]*>", "", status[1]))


@pytest.fixture
def make_todo(make: Make) -> MakeTodo:
    async def make_todo(owner: User, title: str = "Write tests", **fields: Any) -> Todo:
        return await make(Todo, owner_id=owner.id, title=title, **fields)

    return make_todo
