"""Results of statements, limited in rows and size."""

from collections.abc import Iterable, Sequence
from typing import Any

MAX_CELL_CHARS = 500
MAX_RESULT_CHARS = 20_000


def limited_result(columns: Sequence[str], rows: Iterable[Sequence[Any]], max_rows: int) -> dict[str, Any]:
    """Return the names of the columns, and as many rows as fit into a result."""
    displayed: list[list[Any]] = []
    length = 0
    for row in rows:
        values = [value if isinstance(value, int | float | None) else str(value)[:MAX_CELL_CHARS] for value in row]
        length += sum(len(str(value)) for value in values)
        if len(displayed) == max_rows or length > MAX_RESULT_CHARS:
            return {"columns": columns, "rows": displayed, "has_more_rows": True}
        displayed.append(values)
    return {"columns": columns, "rows": displayed, "has_more_rows": False}
