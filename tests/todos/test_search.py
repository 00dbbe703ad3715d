"""A person's to-dos are made searchable in a few lines, and nobody finds another's."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.todos.models import Todo
from opportune.db import Database
from opportune.search import Searchable
from opportune.testing import make_user
from opportune.testing.search import searchable


async def test_somebody_searches_their_own_to_dos(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    todo_search = await searchable(database, monkeypatch, lambda: Searchable(Todo, fields=["title", "notes"]))
    ada, bob = await make_user(database), await make_user(database)
    async with database.writer() as session:
        session.add_all([Todo(owner_id=ada.id, title="Call"), Todo(owner_id=ada.id, title="Write", notes="or call")])
        session.add(Todo(owner_id=bob.id, title="Call nobody"))
    own = select(Todo).where(col(Todo.owner_id) == ada.id)
    async with database.reader() as session:
        found = await session.scalars(todo_search.search(session, "call", within=own))
        assert [todo.title for todo in found] == ["Call", "Write"]
    async with database.writer() as session:
        await session.delete(await session.merge(ada))
    async with database.reader() as session:
        assert (await todo_search.find(session, "call")).total == 1
