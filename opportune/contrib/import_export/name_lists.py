"""Lists of names in one cell of CSV. `|` separates them, and a backslash precedes a `|` or a backslash in a name."""

import re
from collections.abc import Iterable

SEPARATOR = "|"
NAME_IN_LIST = re.compile(r"(?:\\.|[^|\\]|\\$)*", re.DOTALL)


def join_names(names: Iterable[str]) -> str:
    """Join names for one cell of CSV."""
    return SEPARATOR.join(re.sub(r"([\\|])", r"\\\1", name) for name in names)


def split_names(cell: str) -> list[str]:
    """Split a cell of CSV into names."""
    parts = [part[0] for part in NAME_IN_LIST.finditer(cell)]
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL).strip() for part in parts if part.strip()]
