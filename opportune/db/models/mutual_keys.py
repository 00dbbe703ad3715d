"""Cycles of foreign keys between tables."""

from collections.abc import Iterable

from sqlalchemy import ForeignKeyConstraint, MetaData, Table
from sqlalchemy.exc import NoReferenceError


def break_cycles(metadata: MetaData) -> None:
    """Mark the foreign keys that close a cycle, so that they are added after all tables exist.

    SQLAlchemy cannot sort tables with a cycle and would warn each time.
    """
    for key in find_closing_keys(metadata.tables.values()):
        key.use_alter = True


def find_closing_keys(tables: Iterable[Table]) -> list[ForeignKeyConstraint]:
    """Return foreign keys whose removal leaves no cycle of tables."""
    closing: list[ForeignKeyConstraint] = []
    visited: set[Table] = set()
    path: list[Table] = []

    def visit(table: Table) -> None:
        visited.add(table)
        path.append(table)
        for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
            target = _target_of(key)
            if target in path:
                closing.append(key)
            elif target is not None and target not in visited:
                visit(target)
        path.pop()

    for table in sorted(tables, key=lambda table: table.fullname):
        if table not in visited:
            visit(table)
    return closing


def _target_of(key: ForeignKeyConstraint) -> Table | None:
    """Return the table that a key references, unless it cannot close a cycle."""
    try:
        target = key.referred_table
    except NoReferenceError:  # its feature is not installed
        return None
    return None if key.use_alter or target is key.parent else target
