"""Texts of the preview of an import."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from opportune.admin.lists.display import format_column
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cells import cell_of
from opportune.contrib.import_export.targets import Target
from opportune.schemas.text import shorten

MAX_PREVIEW_ROWS = 10
MAX_PREVIEW_CHANGES = 50
"""Changed rows in the preview."""
MAX_PREVIEW_LENGTH = 60
"""Maximum characters of a value in a preview."""


class PreviewRow(NamedTuple):
    cells: Mapping[str, Any]
    """Cells by column of the file."""
    values: Mapping[str, Any]
    """The values that the cells mean, by field of the form."""


class ChangedText(NamedTuple):
    label: str
    old: str
    new: str


class PreviewTexts:
    """Texts of values as they were understood. Related rows have the text of the file."""

    def __init__(self, view: AdminView, columns: Mapping[str, Target]) -> None:
        self._view = view
        self._columns = columns
        self._related = {*view.references, *view.many_to_many}

    def of_row(self, row: PreviewRow) -> list[str]:
        return [self._text(name, row) for name in self._columns]

    def of_changes(self, fields: Collection[str], old: PreviewRow, new: PreviewRow) -> list[ChangedText]:
        return [
            ChangedText(target.label, self._text(name, old), self._text(name, new))
            for name, target in self._columns.items()
            if target.field in fields
        ]

    def _text(self, name: str, row: PreviewRow) -> str:
        return shorten(self._full_text(name, row), MAX_PREVIEW_LENGTH)

    def _full_text(self, name: str, row: PreviewRow) -> str:
        target = self._columns[name]
        cell = row.cells.get(name)
        value = row.values.get(target.field)
        if value is None or target.field in self._related:
            return str(cell_of(cell))
        text = format_column(self._view, target.field, value)
        return text.striptags() if isinstance(text, Markup) else str(text)
