"""Time limits of statements."""

import pytest
from sqlalchemy import text

from opportune.contrib.statement_limits import StatementTooLong, time_limit
from opportune.db import Database
from tests.opportune.stored_rows import read_one

NUMBERS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
ENDLESS = {"postgresql": "SELECT pg_sleep(3600)", "sqlite": NUMBERS}


@pytest.mark.database("sqlite", "postgresql")
async def test_slow_statement_is_stopped(database: Database) -> None:
    async with database.reader() as session:
        with pytest.raises(StatementTooLong):
            async with time_limit(session, 0.1):
                await session.execute(text(ENDLESS[session.get_bind().dialect.name]))
    assert await read_one(database, text("SELECT 1")) == 1
