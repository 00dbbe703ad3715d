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
    search = _CycleSearch()
    for table in sorted(tables, key=lambda table: table.fullname):
        search.visit(table)
    return search.closing


class _CycleSearch:
    def __init__(self) -> None:
        self.closing: list[ForeignKeyConstraint] = []
        self._on_path: set[Table] = set()
        self._visited: set[Table] = set()

    def visit(self, table: Table) -> None:
        if table in self._visited:
            return
        self._visited.add(table)
        self._on_path.add(table)
        for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
            self._follow(table, key)
        self._on_path.remove(table)

    def _follow(self, table: Table, key: ForeignKeyConstraint) -> None:
        try:
            target = key.referred_table
        except NoReferenceError:  # its feature is not installed
            return
        if key.use_alter or target is table:
            return
        if target in self._on_path:
            self.closing.append(key)
        else:
            self.visit(target)
