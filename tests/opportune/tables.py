"""Tables that no migration makes. What makes them is worked out once: hundreds of tests want the same."""

from functools import lru_cache
from typing import Any

from sqlalchemy import MetaData, create_mock_engine

from opportune.db.database import Database


async def make_tables(tables: MetaData, database: Database) -> None:
    """Do what `create_all` does in a database that has none of them."""
    async with database.engine.begin() as connection:
        for statement in _statements(tables, tuple(tables.tables.values()), connection.dialect.name):
            await connection.exec_driver_sql(statement)


@lru_cache
def _statements(tables: MetaData, _as_they_are: tuple[Any, ...], kind: str) -> list[str]:
    made: list[str] = []

    def note(statement: Any, *_arguments: Any, **_options: Any) -> None:
        made.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{kind}://", note)
    tables.create_all(engine, checkfirst=False)
    return made
