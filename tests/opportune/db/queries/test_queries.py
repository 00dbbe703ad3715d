"""Time limits of statements, remembered row counts, and eager loading with `load`."""

import pytest
from sqlalchemy import select, text

from opportune.db import Database, load
from opportune.db.queries.time_limit import StatementTooLong, time_limit
from opportune.testing import Make
from tests.opportune.crud.library import Volume, Writer
from tests.opportune.stored_rows import read_one
from tests.opportune.tables import make_tables

NUMBERS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
ENDLESS = {"postgresql": "SELECT pg_sleep(3600)", "sqlite": NUMBERS}


@pytest.mark.database("sqlite", "postgresql")
async def test_slow_statement_is_stopped(database: Database) -> None:
    async with database.reader() as session:
        with pytest.raises(StatementTooLong):
            async with time_limit(session, 0.1):
                await session.execute(text(ENDLESS[session.get_bind().dialect.name]))
    assert await read_one(database, text("SELECT 1")) == 1


async def test_load_reads_relationships_with_the_query(database: Database, make: Make) -> None:
    await make_tables(database, Volume)
    await make(Volume, writer=await make(Writer, name="Ann"))

    volume = await read_one(database, select(Volume).options(load(Volume.writer), load(Volume.topics)))

    assert volume.writer.name == "Ann"
    assert volume.topics == []


@pytest.mark.parametrize("value", [Volume.title, "writer"])
def test_load_takes_only_relationships(value: object) -> None:
    with pytest.raises(TypeError, match=r"load\(\) takes relationships, such as Book\.author"):
        load(value)
