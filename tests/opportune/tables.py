"""Creation of tables without migrations. The statements are cached, because hundreds of tests need the same ones."""

from functools import lru_cache
from typing import Any

from sqlalchemy import MetaData, create_mock_engine

from opportune.db.database import Database


async def make_tables(tables: MetaData, database: Database) -> None:
    """Create the tables, none of which exists, as `create_all` does."""
    async with database.engine.begin() as connection:
        for statement in _statements(tables, tuple(tables.tables.values()), connection.dialect.name):
            await connection.exec_driver_sql(statement)


@lru_cache
def _statements(tables: MetaData, _cache_key: tuple[Any, ...], dialect: str) -> list[str]:
    statements: list[str] = []

    def record(statement: Any, *_arguments: Any, **_options: Any) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", record)
    tables.create_all(engine, checkfirst=False)
    return statements
