import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from app.accounts.models import User
from app.core.db.database import Database
from app.core.db.opening import open_database
from tests.conftest import settings_for
from tests.services.pgbouncer import pgbouncer

TASKS, ROUNDS = 8, 15


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with pgbouncer(database_url) as url:
        yield url


async def work(database: Database, task: int) -> None:
    """Reads and writes, the same statements often enough that psycopg would prepare them."""
    for i in range(ROUNDS):
        async with database.writer() as session:
            session.add(User(email=f"{task}-{i}@example.com", hashed_password="none"))
        async with database.reader() as session:
            await session.scalars(select(User).where(User.id == i))  # type: ignore[arg-type]  # a condition on a column
            await session.scalar(select(func.count()).select_from(User))


async def test_a_pooler_that_swaps_connections_between_transactions_does_no_harm(pooled_url: str) -> None:
    database = open_database(settings_for(pooled_url))
    await asyncio.gather(*(work(database, task) for task in range(TASKS)))
    await database.ping()
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == TASKS * ROUNDS
    await database.dispose()


async def test_prepared_statements_are_what_would_do_the_harm(pooled_url: str) -> None:
    settings = settings_for(pooled_url).model_copy(
        update={"database_pooled": "false", "database_url": SecretStr(pooled_url)}
    )
    database = open_database(settings)
    results = await asyncio.gather(*(work(database, task) for task in range(TASKS)), return_exceptions=True)
    await database.dispose()
    assert any("prepared statement" in str(result) for result in results)
