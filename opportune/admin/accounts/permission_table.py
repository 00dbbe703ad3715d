"""Permissions as a table with a row for each model and a column for each action."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from markupsafe import Markup
from sqladmin.contrib.rbac import build_permission_rows
from starlette.requests import Request

from opportune.accounts.groups.grants import WILDCARD, matches_grant
from opportune.admin.authorization import SuperuserOnly, has_grant
from opportune.admin.forms.wtforms_classes import SelectMultipleField
from opportune.admin.protocols import Site
from opportune.web.rendering.templates import templates

COLUMNS = {
    WILDCARD: "All",
    "list": "List",
    "details": "Details",
    "create": "Create",
    "edit": "Edit",
    "delete": "Delete",
    "export": "Export",
    "import": "Import",
}
"""Columns of the table, by action. Other actions of a model are listed below its row."""

Groups = Mapping[str, Collection[str]]
"""Grants such as `user:list`, by the name of the group."""


@dataclass(frozen=True)
class Cell:
    """A cell: one action on one model."""

    grant: str
    """Such as `user:list`."""
    label: str
    is_offered: bool = False
    """Whether the current user may give and take it."""
    origins: Sequence[int] = ()
    """Numbers from 1 of the groups that grant it, directly or by a wildcard."""


MakeCell = Callable[[str, str, str], Cell]
"""Make a cell from the model's identity, an action and its label."""


@dataclass(frozen=True)
class Line:
    """A row: the actions of one model."""

    identity: str
    label: str
    cells: Mapping[str, Cell]
    """Cells of the columns, by action."""
    others: Sequence[Cell]

    @property
    def all(self) -> list[Cell]:
        return [*self.cells.values(), *self.others]


@dataclass(frozen=True)
class PermissionTable:
    """Permissions of groups, to read or with checkboxes."""

    lines: Sequence[Line]
    unknown: Sequence[str]
    """Grants for models and actions that are not installed."""
    groups: Sequence[str] = ()
    """Names of the groups whose numbers the cells have."""
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)

    @property
    def offered(self) -> list[str]:
        return [cell.grant for line in self.lines for cell in line.all if cell.is_offered]

    def render(self, **options: Any) -> Markup:
        """Render HTML. With the `name` of a field it has checkboxes, with those in `checked` set."""
        page = templates.environment.get_template("admin/permission_table.html")
        return Markup(page.render(table=self, **{"name": "", "checked": (), "by_group": False, **options}))  # noqa: S704 - a template's


def editable_table(site: Site, request: Request, held: Collection[str] = ()) -> PermissionTable:
    """Return all models. The permissions of the current user have checkboxes, other granted ones are listed."""
    views = {view.identity: view for view in site.views}

    def may_give(identity: str, action: str) -> bool:
        if WILDCARD in (identity, action):
            return has_grant(request, identity, action)
        return bool(views[identity].has_permission(request, action))

    def cell(identity: str, action: str, label: str) -> Cell:
        grant = f"{identity}:{action}"
        return Cell(grant, label, may_give(identity, action), [1] if grant in held else [])

    return _table(site, cell, held)


def readable_table(site: Site, groups: Groups) -> PermissionTable:
    """Return the rows of models for which a group has a grant."""
    held = [{_pair(grant) for grant in grants} for grants in groups.values()]

    def cell(identity: str, action: str, label: str) -> Cell:
        numbers = [number for number, pairs in enumerate(held, 1) if matches_grant(pairs, identity, action)]
        return Cell(f"{identity}:{action}", label, False, numbers)

    return _table(site, cell, {grant for grants in groups.values() for grant in grants}, list(groups))


class PermissionTableField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A checkbox for each permission that the user may give. Others are refused."""

    def __init__(self, *args: Any, site: Site, request: Request, **options: Any) -> None:
        choices = [(grant, grant) for grant in editable_table(site, request).offered]
        super().__init__(*args, choices=choices, **options)
        self.site, self.request = site, request

    def widget(self, field: Any, **_options: Any) -> Markup:
        """Render the field, as a WTForms widget."""
        table = editable_table(self.site, self.request, self.object_data or ())
        return table.render(name=self.name, checked=set(self.data or ()))


def _table(site: Site, make_cell: MakeCell, held: Collection[str], groups: Sequence[str] = ()) -> PermissionTable:
    lines = [_line(row, make_cell) for row in _rows(site, held)]
    unknown = sorted(set(held) - {cell.grant for line in lines for cell in line.all})
    visible = [line for line in lines if any(cell.is_offered or cell.origins for cell in line.all)]
    return PermissionTable(visible, unknown, groups)


def _rows(site: Site, held: Collection[str]) -> Sequence[tuple[str, str, Mapping[str, str]]]:
    """Return identity, label and actions of each model. The wildcard comes first if a group has it."""
    views, rows = {view.identity: view for view in site.views}, []
    if any(_pair(grant)[0] == WILDCARD for grant in held):
        rows.append((WILDCARD, "Every model", {**COLUMNS}))
    for row in build_permission_rows(cast("Any", site)):
        if not isinstance(views[row.identity], SuperuserOnly):
            labels = {_pair(choice.value)[1]: str(choice.label) for choice in row.choices}
            rows.append((row.identity, str(row.label), {WILDCARD: COLUMNS[WILDCARD], **labels}))
    return rows


def _line(row: tuple[str, str, Mapping[str, str]], make_cell: MakeCell) -> Line:
    identity, label, labels = row
    cells = {action: make_cell(identity, action, text) for action, text in labels.items()}
    others = [cell for action, cell in cells.items() if action not in COLUMNS]
    return Line(identity, label, {action: cells[action] for action in COLUMNS if action in cells}, others)


def _pair(grant: str) -> tuple[str, str]:
    identity, _, action = grant.partition(":")
    return identity, action
