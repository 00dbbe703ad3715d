"""Statements that are written in one transaction with another one, and need its rows for their values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Executable


class Following(NamedTuple):
    """A statement that runs after another one."""

    statement: Executable
    names: Sequence[str]
    """Names of its values."""
    values: Callable[[Sequence[Sequence[Any]]], Mapping[str, Any] | None]
    """Its values by the rows of the first statement. None leaves it out."""
