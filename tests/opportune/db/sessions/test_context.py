"""Contexts: a reader and a writer together."""

import asyncio

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from opportune.accounts.models import User
from opportune.db.database import Context, Database, ReadonlyContext

EMAILS = select(User.email)  # type: ignore[call-overload]  # a column here


def make_user_row(email: str = "a@example.com") -> User:
    return User(email=email, hashed_password="none")


async def add_user(database: Database, email: str) -> None:
    async with database.writer() as session:
        session.add(make_user_row(email))


async def read_emails(database: Database) -> set[str]:
    async with database.reader() as session:
        return set(await session.scalars(EMAILS))


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_commit_leaves_clean_connections(database: Database) -> None:
    await add_user(database, "a@example.com")

    with pytest.raises(IntegrityError):
        async with database.context() as context:
            context.writer.add(make_user_row("a@example.com"))

    await add_user(database, "b@example.com")
    assert await read_emails(database) == {"a@example.com", "b@example.com"}


@pytest.mark.database("sqlite", "postgresql")
async def test_snapshot_is_taken_when_the_context_opens(database: Database) -> None:
    async with database.context() as context:
        await add_user(database, "other@example.com")
        assert (await context.reader.scalars(EMAILS)).all() == []


@pytest.mark.database("sqlite", "postgresql")
async def test_idle_writer_does_not_block_others(database: Database) -> None:
    async with asyncio.timeout(30), database.context() as context:
        await add_user(database, "other@example.com")
        context.writer.add(make_user_row("mine@example.com"))
    assert await read_emails(database) == {"other@example.com", "mine@example.com"}


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("context_class", [Context, ReadonlyContext])
@pytest.mark.parametrize("statement", ["UPDATE accounts_user SET email = 'x'", "CREATE TABLE x (a int)"])
async def test_context_reader_cannot_write(
    database: Database, context_class: type[ReadonlyContext], statement: str
) -> None:
    async with context_class(database) as context:
        with pytest.raises(DBAPIError):
            await context.reader.execute(text(statement))


async def test_another_task_cannot_use_the_context(database: Database) -> None:
    async def write_in_task(context: Context) -> None:
        context.writer.add(make_user_row())

    async with database.context() as context:
        with pytest.raises(RuntimeError, match=r"another task.*async with database\.context\(\)"):
            await asyncio.create_task(write_in_task(context))
        with pytest.raises(RuntimeError, match="another task"):
            await asyncio.to_thread(lambda: context.reader)


async def test_closed_context_has_no_sessions(database: Database) -> None:
    context = database.context()
    with pytest.raises(RuntimeError, match="not open"):
        _ = context.reader
    async with context:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        _ = context.writer


async def test_context_can_be_reopened(database: Database) -> None:
    context = database.context()
    async with context:
        with pytest.raises(RuntimeError, match="already open"):
            await context.__aenter__()
        context.writer.add(make_user_row("a@example.com"))
    async with context:
        context.writer.add(make_user_row("b@example.com"))
    assert await read_emails(database) == {"a@example.com", "b@example.com"}


async def test_second_task_cannot_open_the_context(database: Database) -> None:
    context = database.context()

    async def write() -> None:
        async with context:
            context.writer.add(make_user_row())

    result, error = await asyncio.gather(write(), write(), return_exceptions=True)
    assert result is None
    assert isinstance(error, RuntimeError)
    assert len(await read_emails(database)) == 1
    assert database.reading_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a queue pool
