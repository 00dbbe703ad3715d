"""A table of permissions, with a row for each model and a column for each action."""

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
from opportune.i18n import gettext_lazy as _l
from opportune.web.rendering.templates import templates

COLUMNS: Mapping[str, str] = {
    WILDCARD: _l("All"),
    "list": _l("List"),
    "details": _l("Details"),
    "create": _l("Create"),
    "edit": _l("Edit"),
    "delete": _l("Delete"),
    "export": _l("Export"),
    "import": _l("Import"),
}
"""Titles of the columns by action. Other actions of a model are listed below its row."""

Groups = Mapping[str, Collection[str]]
"""Grants such as `user:list`, by the name of the group."""


@dataclass(frozen=True)
class PermissionCell:
    """The permission for one action on one model."""

    grant: str
    """Model and action, such as `user:list`."""
    label: str
    is_editable: bool = False
    """Whether the current user may grant and revoke it."""
    origins: Sequence[int] = ()
    """Positions, from 1, of the groups that grant it directly or with a wildcard."""


MakeCell = Callable[[str, str, str], PermissionCell]
"""Make a cell from the identity of a model, an action and the label of the action."""


@dataclass(frozen=True)
class PermissionRow:
    """The permissions for all actions on one model."""

    identity: str
    label: str
    cells: Mapping[str, PermissionCell]
    """Cells of the columns, by action."""
    other_cells: Sequence[PermissionCell]

    @property
    def all_cells(self) -> list[PermissionCell]:
        return [*self.cells.values(), *self.other_cells]


@dataclass(frozen=True)
class PermissionTable:
    """Permissions of groups, as text or with checkboxes."""

    lines: Sequence[PermissionRow]
    unknown: Sequence[str]
    """Grants for models and actions that are not installed."""
    groups: Sequence[str] = ()
    """Names of the groups, in the order of their positions in the cells."""
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)

    @property
    def editable(self) -> list[str]:
        return [cell.grant for line in self.lines for cell in line.all_cells if cell.is_editable]

    def render(self, **options: Any) -> Markup:
        """Render HTML. With the `name` of a form field, it has checkboxes, with the grants in `checked` selected."""
        page = templates.environment.get_template("admin/permission_table.html")
        return Markup(page.render(table=self, **{"name": "", "checked": (), "by_group": False, **options}))  # noqa: S704 - escaped


def editable_table(site: Site, request: Request, grants: Collection[str] = ()) -> PermissionTable:
    """Return a table of all models. Only permissions of the current user have checkboxes."""
    views = {view.identity: view for view in site.views}

    def may_grant(identity: str, action: str) -> bool:
        if WILDCARD in (identity, action):
            return has_grant(request, identity, action)
        return bool(views[identity].has_permission(request, action))

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        grant = f"{identity}:{action}"
        return PermissionCell(grant, label, may_grant(identity, action), [1] if grant in grants else [])

    return _build_table(site, make_cell, grants)


def readable_table(site: Site, groups: Groups) -> PermissionTable:
    """Return the rows of models for which a group has a grant."""
    grants_of_groups = [{_split_grant(grant) for grant in grants} for grants in groups.values()]

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        positions = enumerate(grants_of_groups, 1)
        origins = [position for position, grants in positions if matches_grant(grants, identity, action)]
        return PermissionCell(f"{identity}:{action}", label, False, origins)

    return _build_table(site, make_cell, {grant for grants in groups.values() for grant in grants}, list(groups))


class PermissionTableField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A checkbox for each permission that the user may grant. The form refuses other permissions."""

    def __init__(self, *args: Any, site: Site, request: Request, **options: Any) -> None:
        choices = [(grant, grant) for grant in editable_table(site, request).editable]
        super().__init__(*args, choices=choices, **options)
        self.site, self.request = site, request

    def widget(self, field: Any, **_options: Any) -> Markup:
        """Render the field, as a WTForms widget."""
        table = editable_table(self.site, self.request, self.object_data or ())
        return table.render(name=self.name, checked=set(self.data or ()))


def _build_table(
    site: Site, make_cell: MakeCell, grants: Collection[str], groups: Sequence[str] = ()
) -> PermissionTable:
    lines = [_build_row(row, make_cell) for row in _model_actions(site, grants)]
    unknown = sorted(set(grants) - {cell.grant for line in lines for cell in line.all_cells})
    visible = [line for line in lines if any(cell.is_editable or cell.origins for cell in line.all_cells)]
    return PermissionTable(visible, unknown, groups)


def _model_actions(site: Site, grants: Collection[str]) -> Sequence[tuple[str, str, Mapping[str, str]]]:
    """Return identity, label and actions of each model. The wildcard is the first row if it is granted."""
    rows: list[tuple[str, str, Mapping[str, str]]] = []
    views = {view.identity: view for view in site.views}
    if any(_split_grant(grant)[0] == WILDCARD for grant in grants):
        rows.append((WILDCARD, _l("Every model"), {**COLUMNS}))
    for row in build_permission_rows(cast("Any", site)):
        if not isinstance(views[row.identity], SuperuserOnly):
            labels = {_split_grant(choice.value)[1]: str(choice.label) for choice in row.choices}
            rows.append((row.identity, str(row.label), {WILDCARD: COLUMNS[WILDCARD], **labels}))
    return rows


def _build_row(row: tuple[str, str, Mapping[str, str]], make_cell: MakeCell) -> PermissionRow:
    identity, label, labels = row
    cells = {action: make_cell(identity, action, text) for action, text in labels.items()}
    other_cells = [cell for action, cell in cells.items() if action not in COLUMNS]
    return PermissionRow(identity, label, {action: cells[action] for action in COLUMNS if action in cells}, other_cells)


def _split_grant(grant: str) -> tuple[str, str]:
    identity, _, action = grant.partition(":")
    return identity, action
