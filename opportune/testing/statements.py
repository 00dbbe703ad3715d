"""Statements that are sent to a database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Engine

from opportune.db.listeners import listening


@contextmanager
def counted_statements(*words: str) -> Iterator[list[str]]:
    """Record the SQL statements in the block.

    Args:
        words: Only record statements that contain one of these words, such as table names. By default all.
    """
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_arguments: object) -> None:
        if not words or any(word in statement for word in words):
            statements.append(statement)

    with listening(Engine, before_cursor_execute=record):
        yield statements
