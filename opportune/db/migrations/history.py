"""What a database records about the migrations that were applied to it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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

from opportune.db.database import Database
from opportune.db.migrations.connection import connect, migration_url
from opportune.db.migrations.graph import Tree
from opportune.settings import Settings

# Alembic's own table, a little wider: a revision begins with its feature's name.
VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(96), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def recorded(connection: Connection) -> list[str]:
    """The rows of the version table; none where there is no table yet."""
    if not inspect(connection).has_table(VERSION.name):
        return []
    return list(connection.scalars(select(VERSION.c.version_num)))


def record(connection: Connection, tree: Tree, rows: set[str]) -> None:
    """Bring the version table in line. Rows that no file stands for stay as they are."""
    VERSION.create(connection, checkfirst=True)
    present = set(recorded(connection)) & tree.by_revision.keys()
    for revision in sorted(present - rows):
        connection.execute(delete(VERSION).where(VERSION.c.version_num == revision))
    for revision in sorted(rows - present):
        connection.execute(insert(VERSION).values(version_num=revision))


@contextmanager
def as_alembic_records(connection: Connection, tree: Tree) -> Iterator[None]:
    """Give the version table the form that Alembic's own command expects, and ours afterwards."""
    with connection.begin():
        record(connection, tree, tree.tips(tree.applied(recorded(connection))))
    try:
        yield
    finally:
        connection.rollback()  # what a mere look has begun
        with connection.begin():
            record(connection, tree, tree.rows(tree.applied(recorded(connection))))


def recorded_in(settings: Settings) -> list[str]:
    """The rows of the version table of the configured database. Makes no file.

    Raises:
        OperatorError: the database cannot be reached.
    """
    url = migration_url(settings)
    if url.kind == "sqlite" and not url.path.exists():
        return []
    with connect(settings) as connection:
        return recorded(connection)


def pending(settings: Settings, features: Sequence[str]) -> list[str]:
    """The names of the migrations that the configured database lacks, such as `todos.0002_due_on`.

    Raises:
        OperatorError: the database cannot be reached, or a file in the folder is no migration.
    """
    return [str(migration) for migration in Tree(features).pending(recorded_in(settings))]


async def pending_in(database: Database, features: Sequence[str]) -> list[str]:
    """The same for an open database."""
    tree = await asyncio.to_thread(Tree, features)
    async with database.reader(fresh=True) as session:
        rows = await (await session.connection()).run_sync(recorded)
    return [str(migration) for migration in tree.pending(rows)]
