"""PgBouncer in transaction mode with TLS: each transaction may use another server connection."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import bindparam, delete, func, insert, select, text, update

from opportune.accounts.models import User
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.db import Database, open_database
from opportune.testing.plugin import settings_for

pytestmark = pytest.mark.database("postgresql")

TASKS = 3
"""Concurrent tasks, each on a separate connection."""
ROUNDS = 8
"""Repetitions of each statement, enough for psycopg to prepare it."""

ADD = insert(User).values(email=bindparam("email"), hashed_password="none", is_active=True, is_superuser=False)
COUNT = select(func.count()).select_from(User)


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with pgbouncer(database_url) as url:
        yield url


async def run_transactions(database: Database, task: int) -> None:
    """Repeat the same statements often enough for psycopg to prepare them."""
    for i in range(ROUNDS):
        email = f"{task}-{i}@example.com"
        async with database.writer() as session:
            await session.execute(ADD, {"email": email})
            await session.execute(update(User).where(User.email == email).values(is_active=False))  # type: ignore[arg-type]  # a column
            assert await session.scalar(text("SELECT current_setting('transaction_read_only')")) == "off"
        async with database.reader() as session:
            assert await session.scalar(select(User.is_active).where(User.email == email)) is False  # type: ignore[call-overload]  # columns
            assert await session.scalar(COUNT)
            assert await session.scalar(text("SELECT current_setting('transaction_isolation')")) == "repeatable read"


async def test_transaction_pooler_works_without_prepared_statements(pooled_url: str) -> None:
    async with open_database(settings_for(pooled_url)) as database:
        await database.ping()
        await asyncio.gather(*(run_transactions(database, task) for task in range(TASKS)))
        async with database.writer() as session:
            assert await session.scalar(COUNT) == TASKS * ROUNDS
            tls = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert await session.scalar(text(tls)) is False
            connection = await session.connection()
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is not None
            assert raw.driver_connection.pgconn.ssl_in_use
            await session.execute(delete(User))
