"""Statement whose values depend on the rows of the previous statement in its transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Executable


class DependentStatement(NamedTuple):
    """Statement that runs in the transaction of a first statement, with values from the rows of that statement."""

    statement: Executable
    names: Sequence[str]
    """Names of the parameters."""
    values: Callable[[Sequence[Sequence[Any]]], Mapping[str, Any] | None]
    """Return the parameters from the rows of the first statement. None skips this statement."""
