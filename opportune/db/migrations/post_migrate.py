"""What follows from the code and is made after migrations have run: indexes for search, rows that features ship."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Executable

from opportune.runtime.progress import work

PREFIX = "fts_"
"""What the names of such tables and indexes begin with: migrations, and copies of rows, leave them alone."""

VECTORS_PREFIX = "vectors_of_"
"""The same of those that have the vectors of a table's rows."""

LITESTREAM_PREFIX = "_litestream_"
"""The same of the two that Litestream keeps in a database (docs/backups.md)."""

Due = Callable[[Connection], Sequence[str | Executable]]
"""Gives the statements that bring something in line with the tables as they are; none if it is."""

_registered: list[Due] = []


def post_migrate(due: Due) -> Due:
    """Have these statements run after migrations, in a transaction of their own."""
    _registered.append(due)
    return due


def is_derived(name: str | None) -> bool:
    """Whether a table is made of others, or is Litestream's own, and no model is to know it."""
    return (name or "").startswith((PREFIX, VECTORS_PREFIX, LITESTREAM_PREFIX))


def due(connection: Connection) -> list[str | Executable]:
    """The statements that are to be run now."""
    return [statement for each in _registered for statement in each(connection)]


def bring_in_line(connection: Connection) -> None:
    """Run them, as a part of the transaction that the connection is in."""
    statements = due(connection)
    with work("Indexing", len(statements), "statements") as progress:
        for statement in statements:
            if isinstance(statement, str):
                connection.exec_driver_sql(statement)
            else:
                connection.execute(statement)
            progress.advance()
