"""How values look in lists and details."""

from datetime import date, datetime
from typing import Any

from markupsafe import Markup

from opportune.web.time_zone import format_date, format_time

MAX_CELL_LENGTH = 80

YES = Markup('<i class="ti ti-check text-green d-print-none" title="Yes"></i><span class="print-word">Yes</span>')
NO = Markup('<i class="ti ti-x text-secondary d-print-none" title="No"></i><span class="print-word">No</span>')
EMPTY_CELL = Markup('<span class="text-secondary">&ndash;</span>')

FORMATTERS: dict[type[Any], Any] = {
    type(None): lambda _: EMPTY_CELL,
    bool: lambda value: YES if value else NO,
    datetime: format_time,
    date: format_date,
}


def truncate(value: Any) -> Any:
    """A long text for a table's cell; what is written as HTML already stays whole."""
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > MAX_CELL_LENGTH:
        return value[: MAX_CELL_LENGTH - 1].rstrip() + "…"
    return value
