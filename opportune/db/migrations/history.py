"""What a database records about the migrations that were applied to it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
)

from opportune.config.settings import Settings
from opportune.db.migrations.connection import connect, migration_url
from opportune.db.migrations.graph import MigrationGraph

if TYPE_CHECKING:
    from opportune.db.database import Database

# Alembic's own table, a little wider: a revision begins with its feature's name.
VERSION_TABLE = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(96), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def recorded_revisions(connection: Connection) -> list[str]:
    """The rows of the version table; none where there is no table yet."""
    if not inspect(connection).has_table(VERSION_TABLE.name):
        return []
    return list(connection.scalars(select(VERSION_TABLE.c.version_num)))


def record_revisions(connection: Connection, graph: MigrationGraph, rows: set[str]) -> None:
    """Bring the version table in line. Rows that no file stands for stay as they are."""
    VERSION_TABLE.create(connection, checkfirst=True)
    present = set(recorded_revisions(connection)) & graph.by_revision.keys()
    for revision in sorted(present - rows):
        connection.execute(delete(VERSION_TABLE).where(VERSION_TABLE.c.version_num == revision))
    for revision in sorted(rows - present):
        connection.execute(insert(VERSION_TABLE).values(version_num=revision))


def forget_revisions(connection: Connection, revisions: Sequence[str]) -> None:
    if revisions:
        connection.execute(delete(VERSION_TABLE).where(VERSION_TABLE.c.version_num.in_(revisions)))


@contextmanager
def as_alembic_records(connection: Connection, graph: MigrationGraph) -> Iterator[None]:
    """Give the version table the form that Alembic's own command expects, and ours afterwards."""
    with connection.begin():
        record_revisions(connection, graph, graph.tips(graph.applied(recorded_revisions(connection))))
    try:
        yield
    finally:
        connection.rollback()  # what a mere look has begun
        with connection.begin():
            record_revisions(connection, graph, graph.rows(graph.applied(recorded_revisions(connection))))


def recorded_revisions_of(settings: Settings) -> list[str]:
    """The rows of the version table of the configured database. Makes no file.

    Raises:
        OperatorError: the database cannot be reached.
    """
    url = migration_url(settings)
    if url.kind == "sqlite" and not url.path.exists():
        return []
    with connect(settings) as connection:
        return recorded_revisions(connection)


def pending_migrations(settings: Settings, features: Sequence[str]) -> list[str]:
    """The names of the migrations that the configured database lacks, such as `books.0002_due_on`.

    Raises:
        OperatorError: the database cannot be reached, or a file in the folder is no migration.
    """
    return [str(migration) for migration in MigrationGraph(features).pending(recorded_revisions_of(settings))]


async def pending_migrations_in(database: "Database", features: Sequence[str]) -> list[str]:
    """The same for an open database."""
    graph = await asyncio.to_thread(MigrationGraph, features)
    async with database.reader(fresh=True) as session:
        rows = await (await session.connection()).run_sync(recorded_revisions)
    return [str(migration) for migration in graph.pending(rows)]
