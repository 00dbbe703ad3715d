"""Texts that a browser would send for the cells of a file."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from opportune.admin.forms.model_fields import NO_CHOICE
from opportune.admin.lists.row_keys import quote_key
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cell_formats import read_cell
from opportune.contrib.import_export.name_resolver import NameResolver
from opportune.contrib.import_export.named_columns import NamedColumn, normal_name
from opportune.contrib.import_export.targets import Target
from opportune.db.models.columns import is_text, python_type_of
from opportune.i18n.directions import isolate
from opportune.i18n.parsing import parse_yes_no
from opportune.schemas.text import make_storable
from opportune.web.forms.form_state import ZONE_SUFFIX


class FieldTexts(NamedTuple):
    texts: dict[str, str]
    """Texts by field."""
    faults: dict[str, str]
    """By field, messages about cells that have no text."""


class CellTexts:
    """Turns the cells of a row into texts for the fields of a form."""

    def __init__(
        self, view: AdminView, columns: Mapping[str, Target], formats: Mapping[str, str], names: NameResolver
    ) -> None:
        self._view = view
        self._columns = columns
        self._formats = formats
        self._names = names

    def by_field(self, cells: Mapping[str, Any]) -> FieldTexts:
        texts: dict[str, str] = {}
        faults: dict[str, str] = {}
        for name, target in self._columns.items():
            try:
                texts[target.field] = self._text_of(name, target, cells.get(name))
                texts[target.field + ZONE_SUFFIX] = "UTC"
            except ValueError as error:
                faults[target.field] = f"{isolate(target.label)}: {error}"
        return FieldTexts(texts, faults)

    def _text_of(self, name: str, target: Target, value: Any) -> str:
        if target.related:
            return self._ids_of(target.related, value)
        text = self._machine_text(name, value)
        if name in self._view.references:
            return quote_key(text) if text else NO_CHOICE
        return text

    def _machine_text(self, name: str, value: Any) -> str:
        text = form_text(self._view.mapper.columns[name], value)
        format_ = self._formats.get(name)
        control = self._columns[name].control
        if text and isinstance(value, str) and control and format_:
            return read_cell(control, text, format_)
        return text

    def natural_key(self, name: str, value: Any) -> str:
        """Return a cell of the natural key as stored rows have it. Invalid cells stay; the form refuses them."""
        try:
            text = self._machine_text(name, value)
        except ValueError:
            text = str(value)
        return normal_name(self._view.model, name, make_storable(text))

    def _ids_of(self, column: NamedColumn, value: Any) -> str:
        ids = self._names.ids(column, column.names_in(value))
        return ",".join(map(quote_key, ids)) or ("" if column.is_many else NO_CHOICE)


def form_text(column: Any, value: Any) -> str:
    """Return a value as a browser would send it.

    Raises:
        ValueError: The value cannot be stored. The message is for the user.
    """
    text = "" if value is None else str(value)
    if python_type_of(column) is bool:
        return _boolean(text.strip(), nullable=column.nullable)
    if isinstance(value, dict | list) or (isinstance(value, bool) and is_text(column)):
        return json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("This text has characters that cannot be stored.")
    return text if is_text(column) else text.strip()


def _boolean(word: str, *, nullable: bool) -> str:
    if nullable and not word:
        return ""
    if word and parse_yes_no(word):
        return "True"
    return "False" if nullable else "false"
