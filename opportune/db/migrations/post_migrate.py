"""Statements that run after migrations: for search indexes, and for rows that features provide."""

from collections.abc import Callable, Iterator, Sequence
from pkgutil import resolve_name

from sqlalchemy import Connection, Executable

from opportune.db.models.indexes import TRIGRAMS_PREFIX
from opportune.progress import work
from opportune.project.installed import installed_features

FTS_PREFIX = "fts_"
"""Prefix of tables and indexes for text search. Migrations and copies ignore them."""

VECTORS_PREFIX = "vectors_of_"
"""Prefix of tables with the vectors of rows."""

LITESTREAM_PREFIX = "_litestream_"
"""Prefix of the tables that Litestream creates (oppman.py docs backups)."""

SEARCH_INDEXES = "opportune.search.registry:due_statements"
"""Factory of the search indexes of every site. It is named as text, because the search imports this package."""


def is_derived(name: str | None) -> bool:
    """Return whether a table or index belongs to a search index or to Litestream, and not to a model."""
    return (name or "").startswith((FTS_PREFIX, TRIGRAMS_PREFIX, VECTORS_PREFIX, LITESTREAM_PREFIX))


def due_statements(connection: Connection) -> list[str | Executable]:
    """Return the statements that the functions of the installed features want to run now."""
    return [statement for find_statements in _factories() for statement in find_statements(connection)]


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


def _factories() -> Iterator[Callable[[Connection], Sequence[str | Executable]]]:
    """Yield the functions that return the statements to run, depending on the current tables."""
    yield resolve_name(SEARCH_INDEXES)
    for feature in installed_features():
        yield from feature.data.post_migrate
