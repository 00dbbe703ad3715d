"""Demo to-dos."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.todos.demo import SAMPLES, clear, load
from app.todos.models import Todo
from opportune.accounts import User
from opportune.db import Database
from opportune.testing import make_user
from tests.todos.conftest import MakeTodo


@pytest.fixture
async def admin(database: Database, ann: User) -> User:
    return await make_user(database, is_superuser=True)


async def read_todos(database: Database) -> list[Todo]:
    async with database.reader() as session:
        return list(await session.scalars(select(Todo).order_by(col(Todo.id))))


async def test_first_superuser_owns_the_demo(database: Database, admin: User) -> None:
    await make_user(database, is_superuser=True)

    async with database.writer() as session:
        assert await load(session) == len(SAMPLES)

    todos = await read_todos(database)
    assert [todo.title for todo in todos] == [title for title, _, _ in SAMPLES]
    assert {todo.owner_id for todo in todos} == {admin.id}


async def test_demo_rows_are_added_and_removed_alone(database: Database, admin: User, make_todo: MakeTodo) -> None:
    own_todo = await make_todo(admin, SAMPLES[0][0])
    async with database.writer() as session:
        await load(session)
    async with database.writer() as session:
        await session.delete((await read_todos(database))[3])
    async with database.writer() as session:
        assert await load(session) == 1
    async with database.writer() as session:
        assert await clear(session) == len(SAMPLES) + 1  # with the deleted one, from the trash
    assert [todo.id for todo in await read_todos(database)] == [own_todo.id]
