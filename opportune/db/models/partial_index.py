"""Partial indexes, declared once for both databases."""

from functools import cached_property
from typing import Any

from sqlalchemy import Index, text


class PartialIndex(Index):
    """Index of the rows that match a condition, on SQLite and PostgreSQL.

        PartialIndex("uq_library_loan_running", "copy_id", where="returned_at IS NULL", unique=True)

    SQLAlchemy's `Index` takes the condition once per dialect and imports both dialects.

    Args:
        name: Name of the index.
        columns: Column names or expressions.
        where: SQL condition of the indexed rows.
        unique: Whether the indexed rows must differ.
    """

    def __init__(self, name: str, *columns: Any, where: str, unique: bool = False) -> None:
        self.where = where
        super().__init__(name, *columns, unique=unique)

    @cached_property
    def dialect_options(self) -> Any:
        """Options by dialect. Only DDL and migrations use them, so a running site never builds them."""
        options = super().dialect_options
        for dialect in ("sqlite", "postgresql"):
            options[dialect]["where"] = text(self.where)
        return options
