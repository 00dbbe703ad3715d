"""A backlog of one group: other groups take their turn, and a claim reads few rows."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.listeners import listening
from opportune.jobs.service import DatabaseJobQueue
from tests.opportune.jobs.tasks import TASKS, job_queue

CLAIMED = 50
MAX_READ_ROWS = 1_000
"""Rows that all statements of a claim may read."""
FILL = """
INSERT INTO jobs_job (state, name, arguments, group_name, attempt, due_at, created_at, cancel_asked, done, total,
                      note, error)
SELECT 'held', 'test.register', '["a@example.com"]', 'large', 0, now(), now(), false, 0, 0, '', ''
FROM generate_series(1, :number)
"""

pytestmark = pytest.mark.database("postgresql")
Statement = tuple[str, Any]


@pytest.fixture
async def site(settings: Settings, database: Database) -> AsyncIterator[DatabaseJobQueue]:
    async with database.writer() as session:
        await session.execute(text(FILL), {"number": 20_000})
        await session.execute(text("ANALYZE jobs_job"))
    site = job_queue(settings, database, TASKS)
    yield site
    site.worker.store.lock.release()


async def test_claim_reads_few_rows_of_backlog(site: DatabaseJobQueue, database: Database) -> None:
    with recorded_statements() as statements:
        claimed = await site.worker.store.claim(CLAIMED)
        await site.worker.store.claim(CLAIMED, completed=claimed)
        await site.worker.store.seconds_to_next()
    assert statements
    async with database.writer() as session:
        for statement, parameters in statements:
            connection = await session.connection()
            plan = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            read = read_rows(plan.scalar_one()[0]["Plan"])
            assert read < MAX_READ_ROWS, (read, statement, json.dumps(parameters, default=str))
        await session.rollback()


@contextmanager
def recorded_statements() -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    def record(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        if "jobs_job" in statement:
            statements.append((statement, parameters))

    with listening(Engine, before_cursor_execute=record):
        yield statements


def read_rows(plan: dict[str, Any]) -> float:
    """Return the number of rows that the nodes of a plan have read."""
    rows: float = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return rows + sum(map(read_rows, plan.get("Plans", ())))
