"""`INSERT … ON CONFLICT`, which each kind of database has a statement of its own for."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession


def upsert(session: AsyncSession, into: type[Any] | Table) -> Any:
    """SQLAlchemy's `insert` with `on_conflict_do_nothing` and its like, into a model or its table.

    It is that of the database which the session asks. The other's is not imported, which would take memory for nothing.
    """
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql  # noqa: PLC0415 - as just said

        return insert_into_postgresql(into)
    from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - as above

    return insert(into)
