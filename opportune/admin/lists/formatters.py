"""Formats of values in lists and details. They override those of `crud` for a few types."""

from datetime import datetime
from typing import Any

from markupsafe import Markup

from opportune.crud.formats import FORMATS
from opportune.db.models.columns import title_of
from opportune.db.models.model import Model
from opportune.i18n import gettext
from opportune.i18n.formats import localize_number
from opportune.web.time_zone import format_time

MAX_CELL_LENGTH = 300
"""Characters in a cell of a list. The style sheet cuts texts at the width of their column."""

YES = Markup('<span class="badge bg-green-lt">{}</span>')
NO = Markup('<span class="badge bg-secondary-lt">{}</span>')
EMPTY_CELL = Markup('<span class="text-secondary">&ndash;</span>')

FORMATTERS: dict[type[Any], Any] = {
    **FORMATS,
    type(None): lambda _: EMPTY_CELL,
    bool: lambda value: YES.format(gettext("Yes")) if value else NO.format(gettext("No")),
    datetime: format_time,
    str: lambda value: value,  # lists call `truncate`
    float: lambda value: localize_number(f"{value:,}"),  # the admin shows all digits
    bytes: lambda value: f"{len(value):,} bytes",
    Model: title_of,
}


def truncate(value: Any) -> Any:
    """Shorten a long text for a table cell. HTML (`Markup`) is not shortened."""
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > MAX_CELL_LENGTH:
        return value[: MAX_CELL_LENGTH - 1].rstrip() + "…"
    return value
