"""Rows and tables of a feature."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Executable
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.errors.option_names import strict


@strict
@dataclass(frozen=True)
class Demo:
    """Sample data, which can be removed without touching other rows."""

    load: Callable[[AsyncSession], Awaitable[int]]
    """Add the rows that are missing and return how many were added."""
    clear: Callable[[AsyncSession], Awaitable[int]]
    """Remove exactly the rows that `load` adds and return how many were removed."""


@strict
@dataclass(frozen=True)
class Data:
    """Options of the feature's tables, and rows for demonstrations and tests."""

    _: KW_ONLY
    adopts_tables: bool = False
    """Whether its tables existed before the feature. Their names then need no prefix."""
    database: Literal["", "postgresql"] = ""
    """The only database that supports its tables; empty for any. Tests on SQLite are skipped."""
    demo: Demo | None = None
    sample_rows: Mapping[type[SQLModel], Mapping[str, Any]] = field(default_factory=dict)
    """Values of rows in tests of access, for models that refuse the generated values."""
    post_migrate: Sequence[Callable[[Connection], Sequence[str | Executable]]] = ()
    """Functions that return the SQL to run after migrations, depending on the current tables. Empty if all is done."""
