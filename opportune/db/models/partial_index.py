"""Indexes of some of a table's rows."""

from functools import cached_property
from typing import Any

from sqlalchemy import Index, text


class PartialIndex(Index):
    """An index of the rows that a condition holds for; with `unique=True` no two of them are alike.

        PartialIndex("uq_library_loan_running", "copy_id", where="returned_at IS NULL", unique=True)

    SQLAlchemy's own `Index` is told the condition once for each database, and imports what it has for both at once.
    """

    def __init__(self, name: str, *columns: Any, where: str, unique: bool = False) -> None:
        self.where = where
        super().__init__(name, *columns, unique=unique)

    @cached_property
    def dialect_options(self) -> Any:
        """Asked by what makes the index and by what compares it, and by nothing that a site does."""
        options = super().dialect_options
        for dialect in ("sqlite", "postgresql"):
            options[dialect]["where"] = text(self.where)
        return options
