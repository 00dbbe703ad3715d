"""Numbers and dates in imported files: how they are read, and how a preview shows them."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.import_export.export import cell_of
from opportune.i18n import get_language, gettext
from opportune.i18n.formats import format_day, is_english, localize_number
from opportune.i18n.parsing import Source
from opportune.web.forms.fields import Control, to_machine_format
from opportune.web.time_zone import format_datetime

EXAMPLE_DAY = date(2026, 12, 31)


def source_of_rows(form: AdminForm, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Source:
    """Return the format of a file: that of the user's language, unless its numbers fit only machine format.

    The export of a list is in machine format. A file has one format, so that `1.234` means the same in all rows.

    Args:
        form: The form of the imported rows.
        columns: The form field of each column of the file.
        rows: The cells of each row.
    """
    controls = {name: control for name, field in columns.items() if (control := getattr(form[field], "control", None))}
    numbers = {name: control for name, control in controls.items() if control.type == "number"}
    is_machine = False
    for cells in rows:
        for name, control in numbers.items():
            text = str(cells.get(name) or "").strip()
            if _is_readable(control, text, Source.LANGUAGE) == _is_readable(control, text, Source.MACHINE):
                continue
            if _is_readable(control, text, Source.LANGUAGE):
                return Source.LANGUAGE
            is_machine = True
    return Source.MACHINE if is_machine else Source.LANGUAGE


def _is_readable(control: Control, text: str, source: Source) -> bool:
    try:
        to_machine_format(control, text, source)
    except ValueError:
        return False
    return True


def format_examples() -> dict[str, str]:
    """Return the user's language and texts in its formats, for the import page."""
    language = get_language()
    if is_english():
        day = f"{EXAMPLE_DAY:%m/%d/%Y}"
    else:
        from babel import dates

        day = dates.format_date(EXAMPLE_DAY, "short", language.locale)
    return {"language": language.name, "number": localize_number("1,234.5"), "day": day}


def preview_of(value: Any, cell: Any) -> str:
    """Return a value as it was understood, or the cell of the file if the value has no format."""
    match value:
        case bool():
            return gettext("Yes") if value else gettext("No")
        case int() | float() | Decimal():
            return localize_number(f"{Decimal(str(value)):f}")
        case datetime():
            return format_datetime(value)
        case date():
            return format_day(value)
        case str():
            return value
    return str(cell_of(cell))
