"""Version table: the revisions that a database has applied."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.direct import direct_url
from opportune.project.current import HAS_PROJECT

# Alembic's table with a wider column, because revisions start with the name of the feature.
VERSION_TABLE = Table(
    "alembic_version" if HAS_PROJECT else "opportune_version",  # an existing application may use Alembic itself
    MetaData(),
    Column("version_num", String(96), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def read_revisions(connection: Connection) -> list[str]:
    """Return the revisions in the version table, or an empty list if there is no table."""
    if not inspect(connection).has_table(VERSION_TABLE.name):
        return []
    return list(connection.scalars(select(VERSION_TABLE.c.version_num)))


def record_revisions(connection: Connection, graph: MigrationGraph, rows: set[str]) -> None:
    """Make `rows` the revisions in the version table. Revisions without a migration file are kept."""
    VERSION_TABLE.create(connection, checkfirst=True)
    existing = set(read_revisions(connection)) & graph.by_revision.keys()
    forget_revisions(connection, sorted(existing - rows))
    for revision in sorted(rows - existing):
        connection.execute(VERSION_TABLE.insert().values(version_num=revision))


def forget_revisions(connection: Connection, revisions: Sequence[str]) -> None:
    if revisions:
        connection.execute(VERSION_TABLE.delete().where(VERSION_TABLE.c.version_num.in_(revisions)))


@contextmanager
def as_alembic_records(connection: Connection, graph: MigrationGraph) -> Iterator[None]:
    """Record only the tips of the graph, as Alembic's commands expect, and the usual rows again at the end."""
    with connection.begin():
        record_revisions(connection, graph, graph.tips(graph.applied(read_revisions(connection))))
    try:
        yield
    finally:
        connection.rollback()  # ends the transaction of a query
        with connection.begin():
            record_revisions(connection, graph, graph.rows(graph.applied(read_revisions(connection))))


def read_revisions_of_site(settings: Settings) -> list[str]:
    """Return the revisions in the version table of the configured database. Does not create a SQLite file."""
    url = direct_url(settings)
    if url.kind == "sqlite" and not url.path.exists():
        return []
    with connect(settings) as connection:
        return read_revisions(connection)


async def find_pending_migrations_in(database: Database, features: Sequence[str]) -> list[str]:
    """Return the names of unapplied migrations of an open database."""
    graph = await asyncio.to_thread(MigrationGraph, features)
    async with database.reader(fresh=True) as session:
        rows = await (await session.connection()).run_sync(read_revisions)
    return [str(migration) for migration in graph.pending(rows)]
