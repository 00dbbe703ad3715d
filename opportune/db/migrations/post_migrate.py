"""Statements that run after migrations: for search indexes, and for rows that features provide."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Executable

from opportune.db.models.search_index import TRIGRAMS_PREFIX
from opportune.progress import work

FTS_PREFIX = "fts_"
"""Prefix of tables and indexes for text search. Migrations and copies ignore them."""

VECTORS_PREFIX = "vectors_of_"
"""Prefix of tables with the vectors of rows."""

LITESTREAM_PREFIX = "_litestream_"
"""Prefix of the tables that Litestream creates (oppman.py docs backups)."""

StatementsFactory = Callable[[Connection], Sequence[str | Executable]]
"""Return the statements to run, depending on the current tables."""

_factories: list[StatementsFactory] = []


def post_migrate(factory: StatementsFactory) -> StatementsFactory:
    """Register a function that returns statements to run after migrations."""
    _factories.append(factory)
    return factory


def is_derived(name: str | None) -> bool:
    """Return whether a table or index belongs to a search index or to Litestream, and not to a model."""
    return (name or "").startswith((FTS_PREFIX, TRIGRAMS_PREFIX, VECTORS_PREFIX, LITESTREAM_PREFIX))


def due_statements(connection: Connection) -> list[str | Executable]:
    """Return the statements that the registered functions want to run now."""
    return [statement for find_statements in _factories for statement in find_statements(connection)]


def run_due_statements(connection: Connection) -> None:
    """Run the statements in the current transaction."""
    statements = due_statements(connection)
    with work("Indexing", len(statements), "statements") as progress:
        for statement in statements:
            if isinstance(statement, str):
                connection.exec_driver_sql(statement)
            else:
                connection.execute(statement)
            progress.advance()
