"""`INSERT … ON CONFLICT` for the dialect of a session or connection."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(writer: AsyncSession | Connection, into: type[Any] | Table) -> Any:
    """Return the dialect's `insert` into a model or table, with `on_conflict_do_nothing` and `on_conflict_do_update`.

    Only the dialect of the writer is imported, which saves memory.
    """
    dialect = writer.dialect if isinstance(writer, Connection) else writer.get_bind().dialect
    if dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql  # only one dialect is needed

        return insert_into_postgresql(into)
    from sqlalchemy.dialects.sqlite import insert  # as above

    return insert(into)
