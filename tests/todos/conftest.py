"""Fixtures of the tests of to-dos."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.todos.models import Todo
from opportune.accounts import User
from opportune.testing import Make, signed_in_client
from opportune.testing.fixtures import user as ann
from opportune.testing.fixtures import user as bob

__all__ = ["ann", "bob"]
NUMBER = re.compile(r"\d[\d,]*")
MakeTodo = Callable[..., Awaitable[Todo]]


def board_numbers(html: str) -> list[str]:
    """Return the numbers above the list: to-dos in total, open, done and overdue."""
    status = re.search(r'id="board".*?<p[^>]* role="status">(.*?)</p>', html, re.DOTALL)
    assert status
    return NUMBER.findall(re.sub(r"<[^>]*>", "", status[1]))


@pytest.fixture
async def browser(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ann) as client:
        yield client


@pytest.fixture
def make_todo(make: Make) -> MakeTodo:
    async def make_todo(owner: User, title: str = "Write tests", **fields: Any) -> Todo:
        return await make(Todo, owner_id=owner.id, title=title, **fields)

    return make_todo
