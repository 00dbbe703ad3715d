"""Data layer of to-dos, and the demo."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.demo import SAMPLES, clear, load
from app.todos.models import Todo
from app.todos.schemas import TodoFilter, TodoUpdate
from app.todos.service import Todos
from opportune.accounts import User
from opportune.db import Database
from opportune.testing import make_user
from tests.todos.conftest import MakeTodo

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
FILTERS: list[tuple[dict[str, object], list[str]]] = [
    ({"q": "PAY"}, ["Pay the Rent", "Pay taxes"]),
    ({"q": "rest"}, ["Sleep"]),
    ({"state": "open"}, ["Call the bank", "Pay the Rent", "Sleep"]),
    ({"state": "done"}, ["Pay taxes"]),
    ({"state": "overdue"}, ["Call the bank"]),
    ({"due_on__gte": YESTERDAY, "due_on__lte": TODAY, "q": "pay", "state": "open"}, ["Pay the Rent"]),
    ({"sort": "-title", "q": "pay"}, ["Pay the Rent", "Pay taxes"]),
    ({"sort": "due_on"}, ["Call the bank", "Pay taxes", "Pay the Rent", "Sleep"]),
    ({"sort": "-due_on"}, ["Pay the Rent", "Call the bank", "Pay taxes", "Sleep"]),
]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.writer() as session:
        yield session


@pytest.fixture
def todos(session: AsyncSession, user: User) -> Todos:
    todos = Todos(session, user)
    todos.today = TODAY
    return todos


@pytest.fixture
async def five_todos(user: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(user, "Sleep", notes="100% rest")
    await make_todo(user, "Pay the Rent", due_on=TODAY)
    await make_todo(user, "Call the bank", due_on=YESTERDAY)
    await make_todo(user, "Pay taxes", due_on=YESTERDAY, done_at=NOON)
    await make_todo(bob, "Pay Ann", due_on=YESTERDAY)


async def list_titles(todos: Todos, **filters: object) -> list[str]:
    page = await todos.list(TodoFilter.model_validate(filters))
    return [todo.title for todo in page.items]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.usefixtures("five_todos")
async def test_default_order_is_open_and_urgent_first(todos: Todos) -> None:
    assert await list_titles(todos) == ["Call the bank", "Pay the Rent", "Sleep", "Pay taxes"]


@pytest.mark.usefixtures("five_todos")
async def test_filters(todos: Todos) -> None:
    for filters, expected in FILTERS:
        assert await list_titles(todos, **filters) == expected, filters


async def test_done_keeps_the_first_time(todos: Todos, user: User, make_todo: MakeTodo) -> None:
    todo = await make_todo(user, done_at=NOON)
    assert (await todos.update(todo.id, TodoUpdate(done=True))).done_at == NOON
    assert (await todos.update(todo.id, TodoUpdate(done=False))).done_at is None
    assert (await todos.update(todo.id, TodoUpdate(done=True))).done_at is not None


@pytest.fixture
async def admin(database: Database, user: User) -> User:
    return await make_user(database, is_superuser=True)


async def read_todos(database: Database) -> list[Todo]:
    async with database.reader() as session:
        return list(await session.scalars(select(Todo).order_by(col(Todo.id))))


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
