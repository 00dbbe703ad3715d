"""Statements run by `opportune.speedups.statements` behave like those of SQLAlchemy's connection."""

import asyncio
import gc
import weakref
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Executable, Select, bindparam, event, func, literal_column, select, text, types
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.db import Database, is_outage, open_database
from opportune.speedups import statements
from opportune.testing import make_user

VALUES: Mapping[str, tuple[Any, Any]] = {
    "amount": (types.Numeric(10, 2), Decimal("12.50")),
    "share": (types.Float(), 0.25),
    "done": (types.Boolean(), True),
    "day": (types.Date(), date(2026, 3, 1)),
    "moment": (types.DateTime(timezone=True), datetime(2026, 3, 1, 12, tzinfo=UTC)),
    "number": (types.Uuid(), UUID(int=7)),
    "tags": (types.JSON(), ["one", {"two": None}]),
}
ONE: Select[int] = select(literal_column("1"))


async def fetch(database: Database, statement: Executable, values: Mapping[str, Any]) -> Any:
    """Fetch with `opportune.speedups.statements` after a first connection."""
    async with database.reading_engine.connect():
        pass
    return await statements.fetch(database.reading_engine.sync_engine, statement, values)


@pytest.mark.database("sqlite", "postgresql")
async def test_values_equal_those_of_a_connection(database: Database) -> None:
    for name, (type_, value) in VALUES.items():
        statement = select(bindparam("value", type_=type_).label("value"))
        async with database.reading_engine.connect() as connection:
            (expected,) = (await connection.execute(statement, {"value": value})).all()
        assert [tuple(row) for row in await fetch(database, statement, {"value": value})] == [tuple(expected)], name


async def test_equal_statements_keep_their_literal_values(database: Database) -> None:
    await make_user(database, "ada@example.com")
    for email, count in (("ada@example.com", 1), ("bob@example.com", 0)):
        statement = select(func.count()).select_from(User).where(col(User.email) == email)
        assert [tuple(row) for row in await fetch(database, statement, {})] == [(count,)]


async def test_unsupported_statement_uses_the_public_api(database: Database, user: User) -> None:
    by_ids = select(col(User.id)).where(col(User.id).in_(bindparam("ids", expanding=True)))
    assert await fetch(database, by_ids, {"ids": [user.id]}) is None
    assert await fetch(database, text("SELECT 1"), {}) is None
    assert await database.lookup(by_ids, {"ids": [user.id]}) == (user.id,)


async def test_first_statement_uses_the_public_api(settings: Settings) -> None:
    database = open_database(settings)
    assert await statements.fetch(database.reading_engine.sync_engine, ONE, {}) is None
    assert await database.lookup(ONE, {}) == (1,)
    assert await statements.fetch(database.reading_engine.sync_engine, ONE, {}) is not None
    await database.dispose()


@pytest.mark.usefixtures("only_young_garbage")
async def test_finished_statement_is_freed(database: Database) -> None:
    compiled: dict[Any, Any] = {}
    database.reading_engine.sync_engine.update_execution_options(compiled_cache=compiled)  # tests share a cache
    statement: Select[Any] = select(literal_column("1"))
    assert await fetch(database, statement, {}) is not None
    reference = weakref.ref(statement)
    del statement
    compiled.clear()
    gc.collect(0)
    assert reference() is None


async def test_engine_listeners_see_each_statement(database: Database) -> None:
    executed: list[str] = []
    reading = database.reading_engine.sync_engine
    event.listen(reading, "before_cursor_execute", lambda *arguments: executed.append(arguments[2]))
    assert await fetch(database, ONE, {}) is None
    assert await database.lookup(ONE, {}) == (1,)
    assert executed == ["SELECT 1"]


@pytest.mark.database("sqlite", "postgresql")
async def test_refused_statement_keeps_the_connection(database: Database) -> None:
    invalid_query: Select[Any] = select(literal_column("1")).select_from(text("nothing_of_this_name"))
    with pytest.raises(DBAPIError, match="nothing_of_this_name") as error:
        await fetch(database, invalid_query, {})
    assert not error.value.connection_invalidated
    assert is_outage(error.value)  # tables are missing
    await assert_usable(database)


@pytest.mark.database("sqlite", "postgresql")
async def test_cancelled_fetch_keeps_the_pool_usable(database: Database) -> None:
    is_sqlite = database.url.url.get_backend_name() == "sqlite"
    endless = (
        "(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 200000000) SELECT max(i) FROM n)"
    )
    slow = select(literal_column(endless)) if is_sqlite else select(func.pg_sleep(60))
    task = asyncio.create_task(fetch(database, slow, {}))
    async with asyncio.timeout(30):
        while not database.reading_engine.pool.checkedout():  # type: ignore[attr-defined]  # a queue has it
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_usable(database)


@pytest.mark.database("postgresql")
async def test_lost_connection_is_not_reused(database: Database) -> None:
    end_session = select(func.pg_terminate_backend(func.pg_backend_pid()))
    with pytest.raises(DBAPIError) as error:
        await fetch(database, end_session, {})
    assert error.value.connection_invalidated
    assert is_outage(error.value)
    await assert_usable(database)


async def assert_usable(database: Database) -> None:
    assert [tuple(row) for row in await fetch(database, ONE, {})] == [(1,)]
    assert database.reading_engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # as above
