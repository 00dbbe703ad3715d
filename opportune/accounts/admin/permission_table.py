"""Permissions of groups as a table: a row for each model, and a column for each common action."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, cast

from markupsafe import Markup
from sqladmin.contrib.rbac import build_permission_rows
from starlette.requests import Request
from wtforms import SelectMultipleField

from opportune.accounts.permissions import WILDCARD, matches_permission
from opportune.admin.authorization import SuperuserOnly, has_staff_permission
from opportune.admin.base import BaseAdminSite
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.i18n import gettext_lazy as _l
from opportune.web.rendering.templates import templates

COLUMNS: Mapping[str, str] = {
    WILDCARD: _l("All"),
    "list": _l("List"),
    "get": _l("Details"),
    "create": _l("Create"),
    "update": _l("Edit"),
    "delete": _l("Delete"),
    "export": _l("Export"),
    "import": _l("Import"),
}
"""Titles of the columns by action. Other actions of a model are listed below its row."""

SQLADMIN_ACTIONS = {new: old for old, new in RENAMED_ACTIONS.items()}

Groups = Mapping[str, Collection[str]]
"""Permissions such as `user:list`, by the name of the group."""


class PermissionCell(NamedTuple):
    permission: str
    """Model and action, such as `user:list`."""
    label: str
    is_editable: bool = False
    """Whether the current user may give and remove it."""
    origins: Sequence[int] = ()
    """Positions, from 1, of the groups that have it. A table of several groups includes their wildcards."""


MakeCell = Callable[[str, str, str], PermissionCell]
"""Make a cell from the identity of a model, an action and the label of the action."""


class PermissionRow(NamedTuple):
    identity: str
    label: str
    cells: Mapping[str, PermissionCell]
    """Cells of the columns, by action."""
    other_cells: Sequence[PermissionCell]

    @property
    def all_cells(self) -> list[PermissionCell]:
        return [*self.cells.values(), *self.other_cells]


class PermissionTable(NamedTuple):
    """Permissions of groups, as text or with checkboxes."""

    rows: Sequence[PermissionRow]
    unknown: Sequence[str]
    """Permissions for models and actions that are not installed."""
    groups: Sequence[str] = ()
    """Names of the groups, in the order of their positions in the cells."""

    @property
    def editable(self) -> list[str]:
        return [cell.permission for row in self.rows for cell in row.all_cells if cell.is_editable]

    def render(self, *, name: str = "", checked: Collection[str] = (), has_group_columns: bool = False) -> Markup:
        """Render HTML. With the `name` of a form field, it has checkboxes, and those in `checked` are selected."""
        page = templates.environment.get_template("admin/permission_table.html")
        options = {"name": name, "checked": checked, "has_group_columns": has_group_columns}
        return Markup(page.render(table=self, columns=COLUMNS, **options))  # noqa: S704 - escaped


def editable_table(site: BaseAdminSite, request: Request, permissions: Collection[str]) -> PermissionTable:
    """Return a table of all models. Only permissions of the current user have checkboxes."""
    views = {view.identity: view for view in site.views}

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        permission = f"{identity}:{action}"
        origins = [1] if permission in permissions else []
        return PermissionCell(permission, label, _may_give(views, request, identity, action), origins)

    return _build_table(site, make_cell, permissions)


def _may_give(views: Mapping[str, Any], request: Request, identity: str, action: str) -> bool:
    if WILDCARD in (identity, action):
        return has_staff_permission(request, identity, action)
    return bool(views[identity].has_permission(request, SQLADMIN_ACTIONS.get(action, action)))


def readable_table(site: BaseAdminSite, groups: Groups) -> PermissionTable:
    """Return the rows of models for which a group has a permission."""
    permissions_of_groups = [set(map(split_permission, permissions)) for permissions in groups.values()]

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        positions = enumerate(permissions_of_groups, 1)
        origins = [position for position, permissions in positions if matches_permission(permissions, identity, action)]
        return PermissionCell(f"{identity}:{action}", label, False, origins)

    return _build_table(site, make_cell, set(chain.from_iterable(groups.values())), list(groups))


class PermissionTableField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A checkbox for each permission that the user may give. The form refuses other permissions."""

    def __init__(self, *args: Any, site: BaseAdminSite, request: Request, **options: Any) -> None:
        super().__init__(*args, **options)
        self.site = site
        self.request = request

    def process_data(self, value: Collection[str] | None) -> None:
        """Build the table of the group's permissions, which are also the choices."""
        self.table = editable_table(self.site, self.request, value or ())
        self.choices = [(permission, permission) for permission in self.table.editable]
        super().process_data(value)

    def widget(self, field: Any, **_options: Any) -> Markup:
        """Render the field, as a WTForms widget."""
        return self.table.render(name=self.name, checked=set(self.data or ()))


def _build_table(
    site: BaseAdminSite, make_cell: MakeCell, permissions: Collection[str], groups: Sequence[str] = ()
) -> PermissionTable:
    rows = [*_build_rows(site, make_cell, permissions)]
    unknown = sorted(set(permissions) - {cell.permission for row in rows for cell in row.all_cells})
    visible = [row for row in rows if any(cell.is_editable or cell.origins for cell in row.all_cells)]
    return PermissionTable(visible, unknown, groups)


def _build_rows(site: BaseAdminSite, make_cell: MakeCell, permissions: Collection[str]) -> Iterator[PermissionRow]:
    """Yield the row of each model. The wildcard is the first one if a group has it."""
    if any(split_permission(permission)[0] == WILDCARD for permission in permissions):
        yield _build_row(WILDCARD, _l("Every model"), COLUMNS, make_cell)
    views = {view.identity: view for view in site.views}
    for row in build_permission_rows(cast("Any", site)):
        if not isinstance(views[row.identity], SuperuserOnly):
            labels = {split_permission(choice.value)[1]: str(choice.label) for choice in row.choices}
            actions = {RENAMED_ACTIONS.get(action, action): label for action, label in labels.items()}
            yield _build_row(row.identity, str(row.label), {WILDCARD: COLUMNS[WILDCARD], **actions}, make_cell)


def _build_row(identity: str, label: str, actions: Mapping[str, str], make_cell: MakeCell) -> PermissionRow:
    cells = {action: make_cell(identity, action, text) for action, text in actions.items()}
    common_cells = {action: cells[action] for action in COLUMNS if action in cells}
    return PermissionRow(identity, label, common_cells, [cells[action] for action in cells if action not in COLUMNS])


def split_permission(permission: str) -> tuple[str, str]:
    """Return model and action of a permission such as `user:list`."""
    identity, _, action = permission.partition(":")
    return identity, action
