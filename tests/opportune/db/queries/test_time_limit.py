"""Time limit of statements."""

import pytest
from sqlalchemy import text

from opportune.db.database import Database
from opportune.db.queries.dialects import StatementTooLong, time_limit

ENDLESS = {
    "postgresql": "SELECT pg_sleep(3600)",
    "sqlite": "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n",
}


@pytest.mark.database("sqlite", "postgresql")
async def test_slow_statement_is_stopped(database: Database) -> None:
    async with database.reader() as session:
        with pytest.raises(StatementTooLong):
            async with time_limit(session, 0.1):
                await session.execute(text(ENDLESS[session.get_bind().dialect.name]))
    async with database.reader() as session:
        assert await session.scalar(text("SELECT 1")) == 1
