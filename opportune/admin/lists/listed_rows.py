"""Rows of a list with everything that the template shows, because calls in templates take longer than in Python."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup, escape
from starlette.requests import Request

from opportune.admin.editing.cells import toggled_names
from opportune.admin.lists.row_keys import key_of
from opportune.admin.views import AdminView


class ListedCell(NamedTuple):
    name: str
    label: Markup
    text: Any
    url: str
    """URL of the row's page, in cells that link to it."""
    is_truncated: bool
    css_class: str
    """`num` for numbers, `row-title` for the heading of the row's card on a phone."""
    is_editable: bool
    toggle: str
    """The value that a click sets, `yes` or `no`, in cells that need no control; else empty."""
    state: str
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


class RowBuilder:
    """Builds the rows of one page."""

    def __init__(
        self, request: Request, view: AdminView, columns: Sequence[str], editable: Mapping[str, Collection[str]]
    ) -> None:
        self.request = request
        self.view = view
        self.editable = editable
        self.query = f"?{request.url.query}" if request.url.query else ""
        self.details_url, self.edit_url = (
            str(request.url_for(f"admin:{page}", identity=view.identity, pk="")) for page in ("details", "edit")
        )
        self.delete_url = str(request.url_for("admin:delete", identity=view.identity))
        self.toggled = frozenset(toggled_names(view)) if editable else frozenset[str]()
        # The column that links to the row if the first is the id, which is a small target; else empty.
        texts = [name for name in columns if name in view.names.searched and name not in view.references]
        self.title_column = texts[0] if texts and columns[0] == "id" else ""
        heading = self.title_column or next(iter(columns), "")
        numbers = {name: "num" for name in columns if name in view.numeric_columns}
        css_classes = numbers | {heading: f"{numbers.get(heading, '')} row-title".lstrip()}
        self.columns = [
            (name, escape(view.labels.get(name, name)), name in view.truncated_columns, css_classes.get(name, ""))
            for name in columns
        ]

    async def build(self, row: Any) -> ListedRow:
        request, view = self.request, self.view
        pk = key_of(row)
        quoted_pk = quote(pk)
        editable = self.editable.get(pk, ())
        may_view = await view.check_can_view_details(request, row)
        may_edit = bool(editable) or await view.check_can_edit(request, row)
        may_delete = await view.check_can_delete(request, row)
        cells = await self._cells(row, f"{self.details_url}{quoted_pk}{self.query}" if may_view else "", editable)
        edit_url = f"{self.edit_url}{quoted_pk}{self.query}" if may_edit else ""
        more = self.query.replace("?", "&", 1)
        delete_url = f"{self.delete_url}?pks={quoted_pk}{more}" if may_delete else ""
        return ListedRow(pk, quoted_pk, cells, bool(editable), edit_url, delete_url)

    async def _cells(self, row: Any, url: str, editable: Collection[str]) -> Sequence[ListedCell]:
        cells: list[ListedCell] = []
        for name, label, is_truncated, css_class in self.columns:
            value, text = await self.view.get_list_value(row, name, self.request)
            text = Markup(", ").join(text) if isinstance(text, list | set) else text
            has_link = not cells or (name == self.title_column and value)
            cell_url = url if has_link else ""
            if cell_url and isinstance(text, Markup) and "<a " in text:
                text = text.striptags()  # links cannot contain links
            is_editable = name in editable
            next_value = "no" if value else "yes"
            toggle = next_value if is_editable and name in self.toggled else ""
            state = _without_tags(escape(text)) if toggle else ""
            cells.append(ListedCell(name, label, text, cell_url, is_truncated, css_class, is_editable, toggle, state))
        return cells


@lru_cache
def _without_tags(text: Markup) -> str:
    return text.striptags()
