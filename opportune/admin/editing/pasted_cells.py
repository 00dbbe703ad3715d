"""Cells that a user copies from a spreadsheet and pastes into a list: an edit for each line."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.editing.cells import editable_names
from opportune.admin.editing.row_edits import RowEdit, prefix_of
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.row_keys import quote_key
from opportune.admin.views import AdminView
from opportune.db.models.columns import python_type_of
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.i18n.parsing import parse_yes_no

PASTE = "paste"
"""Form field with the copied text."""
START = "column"
"""Form field with the column of the first cell."""


async def read_pasted_edits(
    request: Request, view: AdminView, form_data: FormData, pks: Sequence[str]
) -> list[RowEdit]:
    """Return an edit for each pasted line. Texts that no field can hold are faults of their edit.

    Args:
        request: A request of the page.
        view: The view of the list.
        form_data: The submitted form, with PASTE and START.
        pks: Keys of the rows on the page, in their order.

    Raises:
        ValidationRefused: The cells do not fit into the page, or a column cannot be edited.
    """
    lines = _read_lines(str(form_data.get(PASTE, "")))
    listed = listed_columns(request, view)
    start = str(form_data.get(START, ""))
    columns = listed[listed.index(start) :] if start in listed else []
    width = max(map(len, lines), default=0)
    if not 0 < width <= len(columns) or len(lines) > len(pks):
        raise ValidationRefused(
            gettext(
                "Nothing was changed, because the copied cells (%(rows)s by %(columns)s) do not fit into the page from "
                "this cell on (%(free)s by %(width)s). Show more rows per page, or start at another cell.",
                rows=format_number(len(lines)),
                columns=format_number(width),
                free=format_number(len(pks)),
                width=format_number(len(columns)),
            )
        )
    if locked := [name for name in columns[:width] if name not in editable_names(view)]:
        label = view.labels.get(locked[0], locked[0])
        raise ValidationRefused(gettext("Nothing was changed: %(column)s cannot be edited here.", column=label))
    # Lines may be shorter than the widest one, and may not reach the last row of the page.
    cells = [dict(zip(columns, line, strict=False)) for line in lines]
    return [await _read_edit(request, view, pk, texts) for pk, texts in zip(pks, cells, strict=False)]


def _read_lines(text: str) -> list[list[str]]:
    """Return the cells of each line. A cell with line breaks or tabs is in quotes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return [cells or [""] for cells in csv.reader(StringIO(text, newline=""), "excel-tab", strict=True)]
    except csv.Error:
        return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


async def _read_edit(request: Request, view: AdminView, pk: str, cells: Mapping[str, str]) -> RowEdit:
    sent: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, text in cells.items():
        form_text: str | None = text
        try:
            form_text = await _form_text(request, view, name, text.strip())
        except ValueError as fault:
            faults[name] = str(fault)
        if form_text is not None:
            sent[prefix_of(pk) + name] = form_text
    return RowEdit(pk, list(cells), FormData(sent), checks_seen=False, faults=faults)


async def _form_text(request: Request, view: AdminView, name: str, text: str) -> str | None:
    """Return the text as a browser would send it; None for a checkbox that is not checked.

    Raises:
        ValueError: The text is not yes or no, or not the title of one row. The message is for the user.
    """
    column: Any = view.mapper.columns[name]
    if python_type_of(column) is bool:
        return _yes_or_no(text, is_nullable=column.nullable)
    lookup = view.references.get(name)
    if not (lookup and text):
        return text
    keys = await lookup.find_keys(request, text)
    if len(keys) != 1:
        raise ValueError(gettext("Several rows or none have the name “%(name)s”.", name=text))
    return quote_key(*keys)


def _yes_or_no(text: str, *, is_nullable: bool) -> str | None:
    """Return the text of a picker with an empty choice; for a checkbox, None if it is not checked."""
    is_yes = text != "" and parse_yes_no(text)
    if is_nullable:
        return str(is_yes).lower() if text else ""
    return "true" if is_yes else None
