"""Search within the to-dos of a user."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.todos.models import Todo
from opportune.db import Database
from opportune.search import Searchable
from opportune.testing import make_user
from opportune.testing.search import searchable


@pytest.mark.database("sqlite", "postgresql")
async def test_search_finds_only_own_todos(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    todo_search = await searchable(database, monkeypatch, lambda: Searchable(Todo, fields=["title", "notes"]))
    ada, bob = await make_user(database), await make_user(database)
    async with database.writer() as session:
        session.add_all([Todo(owner_id=ada.id, title="Call"), Todo(owner_id=ada.id, title="Write", notes="or call")])
        session.add(Todo(owner_id=bob.id, title="Call nobody"))
    own_todos = select(Todo).where(col(Todo.owner_id) == ada.id)
    async with database.reader() as session:
        results = await session.scalars(todo_search.search(session, "call", within=own_todos))
        assert [todo.title for todo in results] == ["Call", "Write"]
    async with database.writer() as session:
        await session.delete(await session.merge(ada))
    async with database.reader() as session:
        assert (await todo_search.find(session, "call")).total == 1
