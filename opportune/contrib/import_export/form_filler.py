"""Fills in the admin's forms with the rows of a file, and shows values as they were understood."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import keep_unsent
from opportune.admin.forms.model_fields import NO_CHOICE, FileCells
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cell_formats import read_cell
from opportune.contrib.import_export.export import cell_of
from opportune.contrib.import_export.mapping import Target
from opportune.contrib.import_export.names import NameResolver
from opportune.db.models.columns import is_text, python_type_of
from opportune.i18n import gettext
from opportune.i18n.formats import format_day, localize_number
from opportune.i18n.parsing import Source, parse_yes_no
from opportune.web.forms.form_state import ZONE_SUFFIX
from opportune.web.time_zone import format_datetime


@dataclass(frozen=True)
class FormFiller:
    """Fills in forms with the cells of a file."""

    view: AdminView
    columns: Mapping[str, Target]
    """The field of each column of the file, by its name."""
    formats: Mapping[str, str]
    """The format of numbers and dates, by column."""
    names: NameResolver

    def fill(
        self, form_class: type[AdminForm], cells: Mapping[str, Any], stored: Mapping[str, Any] | None = None
    ) -> tuple[AdminForm, list[str]]:
        """Return the form of a new or stored row, and messages about cells that cannot be put into a form."""
        texts: dict[str, str] = {}
        faults = []
        for name, target in self.columns.items():
            try:
                text = self._form_text(name, target, cells.get(name))
                texts |= {target.field: text, target.field + ZONE_SUFFIX: "UTC"}
            except ValueError as error:
                faults.append(f"{target.label}: {error}")
        form = form_class(FileCells(texts, Source.MACHINE), data=stored or {})
        keep_unsent(form, texts, is_stored=stored is not None)
        return form, faults

    def _form_text(self, name: str, target: Target, value: Any) -> str:
        if target.named:
            ids = self.names.ids(target.named, target.named.names_in(value))
            return ",".join(map(str, ids)) or ("" if target.named.is_many else NO_CHOICE)
        text = form_text(self.view.mapper.columns[name], value)
        if text and isinstance(value, str) and target.control and (format_ := self.formats.get(name)):
            text = read_cell(target.control, text, format_)
        return text or (NO_CHOICE if name in self.view.references else "")


def form_text(column: Any, value: Any) -> str:
    """Return a value as a browser would send it. Raises ValueError with a message for the user."""
    text = "" if value is None else str(value)
    if python_type_of(column) is bool:
        return _boolean(text.strip(), column.nullable)
    if isinstance(value, dict | list) or (isinstance(value, bool) and is_text(column)):
        return json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("This text has characters that cannot be stored.")
    return text if is_text(column) else text.strip()


def _boolean(word: str, nullable: bool) -> str:
    if nullable and not word:
        return ""
    if word and parse_yes_no(word):
        return "True"
    return "False" if nullable else "false"


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
