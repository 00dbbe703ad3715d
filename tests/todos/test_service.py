from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.models import Todo
from app.todos.schemas import TodoCreate, TodoFilter, TodoStatistics, TodoUpdate
from app.todos.service import Todos
from opportune.accounts import User
from opportune.db import Database
from opportune.errors import NotFound
from tests.todos.conftest import MakeTodo

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(1)
TOMORROW = TODAY + timedelta(1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
FILTERS: list[tuple[dict[str, object], list[str]]] = [
    ({"q": "PAY"}, ["Pay the Rent", "Pay taxes"]),
    ({"q": "rest"}, ["Sleep"]),
    ({"q": "0%"}, ["Sleep"]),
    ({"q": "P%y"}, []),
    ({"q": "P_y"}, []),
    ({"state": "open"}, ["Call the bank", "Pay the Rent", "Sleep"]),
    ({"state": "done"}, ["Pay taxes"]),
    ({"state": "overdue"}, ["Call the bank"]),
    ({"due_on__gte": TODAY}, ["Pay the Rent"]),
    ({"due_on__lte": YESTERDAY}, ["Call the bank", "Pay taxes"]),
    ({"due_on__gte": YESTERDAY, "due_on__lte": TODAY, "q": "pay", "state": "open"}, ["Pay the Rent"]),
    ({"sort": "title"}, ["Call the bank", "Pay taxes", "Pay the Rent", "Sleep"]),
    ({"sort": "-title", "q": "pay"}, ["Pay the Rent", "Pay taxes"]),
    ({"sort": "due_on"}, ["Call the bank", "Pay taxes", "Pay the Rent", "Sleep"]),
    ({"sort": "-due_on"}, ["Pay the Rent", "Call the bank", "Pay taxes", "Sleep"]),
]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.writer() as session:
        yield session


@pytest.fixture
def todos(session: AsyncSession, ann: User) -> Todos:
    todos = Todos(session, ann)
    todos.today = TODAY
    return todos


@pytest.fixture
async def five(ann: User, bob: User, make_todo: MakeTodo) -> None:
    await make_todo(ann, "Sleep", notes="100% rest")
    await make_todo(ann, "Pay the Rent", due_on=TODAY)
    await make_todo(ann, "Call the bank", due_on=YESTERDAY)
    await make_todo(ann, "Pay taxes", due_on=YESTERDAY, done_at=NOON)
    await make_todo(bob, "Pay Ann", due_on=YESTERDAY)


async def titles(todos: Todos, **wanted: object) -> list[str]:
    page = await todos.find(TodoFilter.model_validate(wanted))
    return [todo.title for todo in page.items]


@pytest.mark.database("sqlite")
async def test_a_new_todo_is_open_and_its_owners_a_change_leaves_alone_what_it_does_not_name_and_a_deleted_one_is_gone(
    todos: Todos, ann: User
) -> None:
    assert await todos.statistics() == TodoStatistics(total=0, open=0, done=0, overdue=0)

    todo = await todos.add(TodoCreate(title="  Buy milk ", notes="2 litres\nfresh", due_on=TOMORROW))

    found = await todos.get(todo.id)
    assert (found.title, found.notes, found.due_on) == ("Buy milk", "2 litres\nfresh", TOMORROW)
    assert (found.owner_id, found.done_at) == (ann.id, None)

    todo = await todos.add(TodoCreate(title="Buy milk", notes="2 litres", due_on=TODAY))

    await todos.change(todo.id, TodoUpdate(title="Buy oat milk"))
    assert (todo.title, todo.notes, todo.due_on) == ("Buy oat milk", "2 litres", TODAY)

    await todos.change(todo.id, TodoUpdate(due_on=None))
    assert (todo.title, todo.notes, todo.due_on) == ("Buy oat milk", "2 litres", None)

    todo = await todos.add(TodoCreate(title="Buy milk"))

    await todos.delete(todo.id)

    with pytest.raises(NotFound):
        await todos.get(todo.id)


@pytest.mark.usefixtures("five")
async def test_open_ones_come_first_and_the_most_urgent_at_the_top(todos: Todos) -> None:
    assert await titles(todos) == ["Call the bank", "Pay the Rent", "Sleep", "Pay taxes"]


@pytest.mark.database("sqlite")
@pytest.mark.usefixtures("five")
async def test_the_filter_narrows_the_list_which_comes_in_pages_and_statistics_count_the_owners_only(
    todos: Todos,
) -> None:
    for wanted, expected in FILTERS:
        assert await titles(todos, **wanted) == expected, wanted

    page = await todos.find(TodoFilter(page=2, size=3))

    assert [todo.title for todo in page.items] == ["Pay taxes"]
    assert (page.total, page.page, page.pages) == (4, 2, 2)

    page = await todos.find(TodoFilter(page=1_000_000, size=100))

    assert (list(page.items), page.total, page.pages) == ([], 4, 1)

    assert await todos.statistics() == TodoStatistics(total=4, open=3, done=1, overdue=1)


@pytest.mark.database("sqlite")
async def test_what_is_done_twice_was_done_the_first_time_and_another_users_todo_is_not_found(
    todos: Todos, ann: User, make_todo: MakeTodo, bob: User
) -> None:
    todo, theirs = await make_todo(ann, done_at=NOON), await make_todo(bob)

    assert (await todos.change(todo.id, TodoUpdate(done=True))).done_at == NOON
    assert (await todos.change(todo.id, TodoUpdate(done=False))).done_at is None
    assert (await todos.change(todo.id, TodoUpdate(done=True))).done_at is not None

    for attempt in (todos.get(theirs.id), todos.change(theirs.id, TodoUpdate(done=True)), todos.delete(theirs.id)):
        with pytest.raises(NotFound):
            await attempt


@pytest.mark.database("sqlite")
async def test_nothing_is_kept_when_the_session_is_not_committed(database: Database, ann: User) -> None:
    async with database.writer() as session:
        await Todos(session, ann).add(TodoCreate(title="Buy milk"))
        await session.rollback()

    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Todo)) == 0


@pytest.mark.database("sqlite")
async def test_the_todos_of_a_deleted_user_go_too(session: AsyncSession, todos: Todos, ann: User) -> None:
    await todos.add(TodoCreate(title="Buy milk"))

    await session.execute(delete(User).where(col(User.id) == ann.id))

    assert await session.scalar(select(func.count()).select_from(Todo)) == 0
