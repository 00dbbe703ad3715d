"""Rows of a list with everything that the template shows, because calls in templates take longer than in Python."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup, escape
from starlette.requests import Request

from opportune.admin.editing.cells import toggled_names
from opportune.admin.lists.row_keys import key_of
from opportune.admin.views import AdminView
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

ROW = "\ue000"
"""Private letter for the key, in texts that are translated once for all rows of a page."""
ROW_LABELS = _l("Select %(row)s"), _l("Actions for %(row)s"), _l("Edit %(row)s"), _l("Delete %(row)s")


class ListedCell(NamedTuple):
    name: str
    attributes: Markup
    """Attributes of the element: its label on a phone, the name of an editable column, and the class.

    The class is `num` for numbers, and `row-title` for the heading of the row's card on a phone.
    """
    text: Any
    url: str
    """URL of the row's page, in cells that link to it."""
    is_truncated: bool
    edit_label: str = ""
    """Label of the button of a cell that the user may edit; else empty."""
    toggle: str = ""
    """The value that a click sets, `yes` or `no`, in cells that need no control; else empty."""
    state: str = ""
    """The text of a cell with `toggle`, without tags."""


class ListedRow(NamedTuple):
    pk: str
    quoted_pk: str
    """The key in URLs and ids of elements."""
    cells: Sequence[ListedCell]
    is_editable: bool
    edit_url: str
    """Empty if the user may not edit the row."""
    delete_url: str
    labels: Sequence[str]
    """Labels of the checkbox, of the menu and of the buttons to edit and to delete the row."""


async def listed_rows(
    request: Request,
    view: AdminView,
    columns: Sequence[str],
    rows: Sequence[Any],
    editable: Mapping[str, Collection[str]],
) -> Sequence[ListedRow]:
    """Return the rows of a page. `editable` has the columns that the user may edit, by key."""
    builder = RowBuilder(request, view, columns, editable)
    return [await builder.build(row) for row in rows]


class ListedColumn(NamedTuple):
    """The parts that all cells of a column have in common."""

    name: str
    attributes: Markup
    editable_attributes: Markup
    """Attributes of cells that the user may edit."""
    edit_label: str
    is_truncated: bool


class RowBuilder:
    def __init__(
        self, request: Request, view: AdminView, columns: Sequence[str], editable: Mapping[str, Collection[str]]
    ) -> None:
        self.request = request
        self.view = view
        self.editable = editable
        self.query = f"?{request.url.query}" if request.url.query else ""
        self.details_url = str(request.url_for("admin:details", identity=view.identity, pk=""))
        self.edit_url = str(request.url_for("admin:edit", identity=view.identity, pk=""))
        self.delete_url = str(request.url_for("admin:delete", identity=view.identity))
        self.toggled = frozenset(toggled_names(view) if editable else ())
        self.title_column = self._find_title_column(columns)
        heading = self.title_column or next(iter(columns), "")
        self.columns = [self._make_column(name, is_heading=name == heading) for name in columns]
        self.row_labels = [gettext(label, row=ROW) for label in ROW_LABELS]

    def _find_title_column(self, columns: Sequence[str]) -> str:
        """Return the column that also links to the row if the first is the id, which is a small target; else empty."""
        if not columns or columns[0] != "id":
            return ""
        searched = self.view.names.searched
        return next((name for name in columns if name in searched and name not in self.view.references), "")

    def _make_column(self, name: str, *, is_heading: bool) -> ListedColumn:
        classes = ["num"] if name in self.view.numeric_columns else []
        if is_heading:
            classes.append("row-title")
        label = self.view.labels.get(name, name)
        attributes = Markup(' class="%s"') % " ".join(classes) if classes else Markup()
        attributes += Markup(' data-label="%s"') % label
        text = _l("%(field)s of %(row)s") if name in self.toggled else _l("Edit %(field)s of %(row)s")
        edit_label = gettext(text, field=label, row=ROW) if self.editable else ""
        editable_attributes = attributes + Markup(' data-cell="%s"') % name
        return ListedColumn(name, attributes, editable_attributes, edit_label, name in self.view.truncated_columns)

    async def build(self, row: Any) -> ListedRow:
        pk = key_of(row)
        quoted_pk = quote(pk)
        editable = self.editable.get(pk, ())
        may_view = await self.view.check_can_view_details(self.request, row)
        may_edit = bool(editable) or await self.view.check_can_edit(self.request, row)
        may_delete = await self.view.check_can_delete(self.request, row)
        url = f"{self.details_url}{quoted_pk}{self.query}" if may_view else ""
        cells = await self._cells(row, pk, url, editable)
        edit_url = f"{self.edit_url}{quoted_pk}{self.query}" if may_edit else ""
        more = self.query.replace("?", "&", 1)
        delete_url = f"{self.delete_url}?pks={quoted_pk}{more}" if may_delete else ""
        labels = [label.replace(ROW, pk) for label in self.row_labels]
        return ListedRow(pk, quoted_pk, cells, bool(editable), edit_url, delete_url, labels)

    async def _cells(self, row: Any, pk: str, url: str, editable: Collection[str]) -> Sequence[ListedCell]:
        cells: list[ListedCell] = []
        for column in self.columns:
            value, text = await self.view.get_list_value(row, column.name, self.request)
            text = Markup(", ").join(text) if isinstance(text, list | set) else text
            cell_url = url if not cells or (column.name == self.title_column and value) else ""
            if cell_url and isinstance(text, Markup) and "<a " in text:
                text = text.striptags()  # links cannot contain links
            cell = ListedCell(column.name, column.attributes, text, cell_url, column.is_truncated)
            cells.append(self._make_editable(cell, column, pk, value) if column.name in editable else cell)
        return cells

    def _make_editable(self, cell: ListedCell, column: ListedColumn, pk: str, value: Any) -> ListedCell:
        edit_label = column.edit_label.replace(ROW, pk)
        editable = cell._replace(attributes=column.editable_attributes, edit_label=edit_label)
        if cell.name not in self.toggled:
            return editable
        return editable._replace(toggle="no" if value else "yes", state=escape(cell.text).striptags())
