"""Formats of values in lists and details. They override those of `crud` for a few types."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from opportune.crud.display import FORMATS
from opportune.db.models.columns import title_of
from opportune.db.models.model import Model
from opportune.i18n import gettext
from opportune.i18n.formats import localize_number
from opportune.web.time_zone import format_time

MAX_CELL_LENGTH = 80

ICON = Markup('<i class="ti {0} d-print-none" title="{1}"></i><span class="print-word">{1}</span>')
EMPTY_CELL = Markup('<span class="text-secondary">&ndash;</span>')


@lru_cache(100)  # lists have many of the same icons
def _icon(classes: str, text: str) -> Markup:
    return ICON.format(classes, text)


def _format_bool(value: bool) -> Markup:
    return _icon("ti-check text-green", gettext("Yes")) if value else _icon("ti-x text-secondary", gettext("No"))


FORMATTERS: dict[type[Any], Any] = {
    **FORMATS,
    type(None): lambda _: EMPTY_CELL,
    bool: _format_bool,
    datetime: format_time,
    str: lambda value: value,  # lists call `truncate`
    float: lambda value: localize_number(str(value)),  # the admin shows all digits
    Decimal: lambda value: localize_number(str(value)),
    Model: title_of,
}


def truncate(value: Any) -> Any:
    """Shorten a long text for a table cell. HTML (`Markup`) is not shortened."""
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > MAX_CELL_LENGTH:
        return value[: MAX_CELL_LENGTH - 1].rstrip() + "…"
    return value
