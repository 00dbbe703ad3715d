"""Creation of tables without migrations. The statements are cached, because hundreds of tests need the same ones."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, create_mock_engine
from sqlalchemy.orm import declared_attr
from sqlmodel import SQLModel

from opportune.db.database import Database
from opportune.db.migrations.options import OPTIONS
from opportune.db.models.indexes import indexed_columns
from opportune.db.models.model import NAMING_CONVENTION, Model


class UnmigratedTable(Model):
    """Base of models that only tests use, separate from the project's tables, which migrations create.

    The table of `FolderPaper` is `test_folder_paper`, unless the class has another name for it.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805 - SQLAlchemy passes the class
        return "test_" + re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class Named:
    """Mixin of models whose rows are called by their name."""

    def __str__(self: Any) -> str:
        return str(self.name)


class Titled:
    """Mixin of models whose rows are called by their title."""

    def __str__(self: Any) -> str:
        return str(self.title)


async def make_tables(database: Database, *models: type[SQLModel]) -> None:
    """Create the tables of models, and those that foreign keys connect with them. None of them exists."""
    for metadata in {model.metadata for model in models}:
        names = {str(model.__tablename__) for model in models} & metadata.tables.keys()
        tables = connected_tables(metadata, names)
        async with database.engine.begin() as connection:
            for statement in _statements(metadata, tables, connection.dialect.name):
                await connection.exec_driver_sql(statement)
            await connection.run_sync(create_search_indexes, tables)


def connected_tables(metadata: MetaData, names: Iterable[str]) -> tuple[Table, ...]:
    """Return these tables, and all that foreign keys connect with them, such as those of many-to-many relationships."""
    tables, connected = metadata.tables, {*names}
    links = [
        {table.name, *(key.column.table.name for key in table.foreign_keys)} & tables.keys()
        for table in tables.values()
    ]
    while new := {name for link in links if link & connected for name in link - connected}:
        connected |= new
    return tuple(table for name, table in tables.items() if name in connected)


def create_search_indexes(connection: Connection, tables: Iterable[Table]) -> None:
    """Create the declared search indexes, as their migrations do."""
    operations: Any = Operations(MigrationContext.configure(connection, opts=OPTIONS))
    for table in tables:
        if columns := indexed_columns(table):
            operations.create_search_index(table.name, columns)


@lru_cache
def _statements(metadata: MetaData, tables: tuple[Table, ...], dialect: str) -> list[str]:
    statements: list[str] = []

    def record(statement: Any, *_arguments: Any, **_options: Any) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine(f"{dialect}://", record)
    metadata.create_all(engine, tables=tables, checkfirst=False)
    return statements
