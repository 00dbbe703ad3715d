"""`INSERT … ON CONFLICT` for the dialect of the session."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(session: AsyncSession, into: type[Any] | Table) -> Any:
    """Return the dialect's `insert` into a model or table, with `on_conflict_do_nothing` and `on_conflict_do_update`.

    Only the dialect of the session is imported, which saves memory.
    """
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql  # only one dialect is needed

        return insert_into_postgresql(into)
    from sqlalchemy.dialects.sqlite import insert  # as above

    return insert(into)
