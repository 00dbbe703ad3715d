"""Statements that are sent to a database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event
from sqlalchemy.engine import Engine


@contextmanager
def counted_statements(*about: str) -> Iterator[list[str]]:
    """Record the SQL statements in the block.

    Args:
        about: Only record statements that contain one of these words, such as table names. By default all.
    """
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if not about or any(word in statement for word in about):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)
