"""Admin pages of groups: their permissions and their members."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

from markupsafe import Markup
from sqladmin.authorization import Action
from sqladmin.contrib.rbac import build_permission_rows
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.groups.permission_names import WILDCARD, matches_permission
from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.admin.authorization import SuperuserOnly, has_staff_permission
from opportune.admin.base import BaseAdminSite
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.wtforms_classes import CheckboxInput, ListWidget, SelectMultipleField
from opportune.admin.lists.formatters import EMPTY_CELL
from opportune.admin.log.diff import Changes
from opportune.admin.views import AdminView
from opportune.db.database import Database
from opportune.errors.renamed_names import ACTIONS as RENAMED_ACTIONS
from opportune.i18n import gettext
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

PERMISSION_COLUMNS = col(GroupPermission.identity), col(GroupPermission.action)
Groups = Mapping[str, Collection[str]]
"""Permissions such as `user:list`, by the name of the group."""


@dataclass(frozen=True)
class PermissionCell:
    """The permission for one action on one model."""

    permission: str
    """Model and action, such as `user:list`."""
    label: str
    is_editable: bool = False
    """Whether the current user may give and remove it."""
    origins: Sequence[int] = ()
    """Positions, from 1, of the groups that have it directly or with a wildcard."""


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
    """Permissions for models and actions that are not installed."""
    groups: Sequence[str] = ()
    """Names of the groups, in the order of their positions in the cells."""
    columns: Mapping[str, str] = field(default_factory=lambda: COLUMNS)

    @property
    def editable(self) -> list[str]:
        return [cell.permission for line in self.lines for cell in line.all_cells if cell.is_editable]

    def render(self, **options: Any) -> Markup:
        """Render HTML. With the `name` of a form field, it has checkboxes, and those in `checked` are selected."""
        page = templates.environment.get_template("admin/permission_table.html")
        return Markup(page.render(table=self, **{"name": "", "checked": (), "by_group": False, **options}))  # noqa: S704 - escaped


def editable_table(site: BaseAdminSite, request: Request, permissions: Collection[str] = ()) -> PermissionTable:
    """Return a table of all models. Only permissions of the current user have checkboxes."""
    views = {view.identity: view for view in site.views}

    def may_give(identity: str, action: str) -> bool:
        if WILDCARD in (identity, action):
            return has_staff_permission(request, identity, action)
        return bool(views[identity].has_permission(request, SQLADMIN_ACTIONS.get(action, action)))

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        permission = f"{identity}:{action}"
        return PermissionCell(permission, label, may_give(identity, action), [1] if permission in permissions else [])

    return _build_table(site, make_cell, permissions)


def readable_table(site: BaseAdminSite, groups: Groups) -> PermissionTable:
    """Return the rows of models for which a group has a permission."""
    permissions_of_groups = [set(map(_split_permission, permissions)) for permissions in groups.values()]

    def make_cell(identity: str, action: str, label: str) -> PermissionCell:
        positions = enumerate(permissions_of_groups, 1)
        origins = [position for position, permissions in positions if matches_permission(permissions, identity, action)]
        return PermissionCell(f"{identity}:{action}", label, False, origins)

    return _build_table(site, make_cell, set(chain.from_iterable(groups.values())), list(groups))


class PermissionTableField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A checkbox for each permission that the user may give. The form refuses other permissions."""

    def __init__(self, *args: Any, site: BaseAdminSite, request: Request, **options: Any) -> None:
        choices = [(permission, permission) for permission in editable_table(site, request).editable]
        super().__init__(*args, choices=choices, **options)
        self.site, self.request = site, request

    def widget(self, field: Any, **_options: Any) -> Markup:
        """Render the field, as a WTForms widget."""
        table = editable_table(self.site, self.request, self.object_data or ())
        return table.render(name=self.name, checked=set(self.data or ()))


def _build_table(
    site: BaseAdminSite, make_cell: MakeCell, permissions: Collection[str], groups: Sequence[str] = ()
) -> PermissionTable:
    lines = [_build_row(row, make_cell) for row in _model_actions(site, permissions)]
    unknown = sorted(set(permissions) - {cell.permission for line in lines for cell in line.all_cells})
    visible = [line for line in lines if any(cell.is_editable or cell.origins for cell in line.all_cells)]
    return PermissionTable(visible, unknown, groups)


def _model_actions(site: BaseAdminSite, permissions: Collection[str]) -> Sequence[tuple[str, str, Mapping[str, str]]]:
    """Return identity, label and actions of each model. The wildcard is the first row if a group has it."""
    rows: list[tuple[str, str, Mapping[str, str]]] = []
    views = {view.identity: view for view in site.views}
    if any(_split_permission(permission)[0] == WILDCARD for permission in permissions):
        rows.append((WILDCARD, _l("Every model"), {**COLUMNS}))
    for row in build_permission_rows(cast("Any", site)):
        if not isinstance(views[row.identity], SuperuserOnly):
            labels = {_split_permission(choice.value)[1]: str(choice.label) for choice in row.choices}
            actions = {RENAMED_ACTIONS.get(action, action): label for action, label in labels.items()}
            rows.append((row.identity, str(row.label), {WILDCARD: COLUMNS[WILDCARD], **actions}))
    return rows


def _build_row(row: tuple[str, str, Mapping[str, str]], make_cell: MakeCell) -> PermissionRow:
    identity, label, labels = row
    cells = {action: make_cell(identity, action, text) for action, text in labels.items()}
    other_cells = [cell for action, cell in cells.items() if action not in COLUMNS]
    return PermissionRow(identity, label, {action: cells[action] for action in COLUMNS if action in cells}, other_cells)


def _split_permission(permission: str) -> tuple[str, str]:
    identity, _, action = permission.partition(":")
    return identity, action


EXCEEDS_OWN_PERMISSIONS = _l("This group has permissions that you do not have. A superuser can delete it.")


class CheckboxList(ListWidget):  # type: ignore[misc]  # its base has no types
    def __call__(self, field: Any, **options: Any) -> Markup:
        # The class of the field is for the checkboxes, not for the list.
        html: Markup = super().__call__(field, **{**options, "class": "list-unstyled groups mb-0 pt-2"})
        return html


class GroupsField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A checkbox for each group that the user may assign."""

    widget = CheckboxList(prefix_label=False)
    option_widget = CheckboxInput()

    @classmethod
    async def for_request(cls, database: Database, request: Request) -> "GroupsField | None":
        """Return the field, or None for a user who may not assign groups."""
        async with database.reader(fresh=True) as session:
            assignable = await find_assignable_groups(session, request)
            groups = await session.scalars(select(Group).where(col(Group.id).in_(assignable)).order_by(col(Group.name)))
            choices = [(group.id, group.name) for group in groups]
        style = {"class": "form-check-input me-2"}
        return cls(gettext("Groups"), choices=choices, coerce=int, render_kw=style) if choices else None


async def find_assignable_groups(session: AsyncSession, request: Request) -> set[int]:
    """Return the ids of groups that the user may assign: editors may not assign permissions that they lack."""
    if not has_staff_permission(request, GroupAdmin.identity, Action.EDIT):
        return set()
    groups = select(col(Group.id), *PERMISSION_COLUMNS).outerjoin(GroupPermission)
    rows = (await session.execute(groups)).all()
    exceeding = {id_ for id_, name, action in rows if name and not has_staff_permission(request, name, action)}
    return {group_id for group_id, _, _ in rows} - exceeding


async def has_more_permissions(session: AsyncSession, request: Request, user: User) -> bool:
    """Return whether the groups of a user have a permission that the current user lacks."""
    permissions = await read_permissions_by_group(session, user)
    return not _has_all(request, chain.from_iterable(permissions.values()))


def _has_all(request: Request, permissions: Iterable[str]) -> bool:
    return all(has_staff_permission(request, *_split_permission(permission)) for permission in permissions)


async def read_permissions_by_group(session: AsyncSession, user: User) -> dict[str, list[str]]:
    """Return the permissions of each group of a user, by name."""
    statement = (
        select(col(Group.name), *PERMISSION_COLUMNS)
        .join(Membership, col(Membership.group_id) == col(Group.id))
        .outerjoin(GroupPermission, col(GroupPermission.group_id) == col(Group.id))
        .where(col(Membership.user_id) == user.id)
        .order_by(col(Group.name))
    )
    permissions: dict[str, list[str]] = {}
    for name, identity, action in await session.execute(statement):
        permissions.setdefault(name, []).extend([f"{identity}:{action}"] if identity else [])
    return permissions


class GroupAdmin(AdminView, model=Group):
    """Groups. Editors may give and remove only permissions that they have themselves; other permissions are kept."""

    columns = ("name",)
    fields = ("name", "permissions")
    column_labels = {"permissions": "Permissions"}
    related_fields = ("permissions",)
    icon, category = "ti ti-users-group", "Accounts"

    async def form_class(self, request: Request, *, creating: bool) -> type[AdminForm]:
        form = await super().form_class(request, creating=creating)
        permissions = PermissionTableField(_l("Permissions"), site=self.site, request=request)
        return type("GroupForm", (form,), {"permissions": permissions})

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        data = await super().get_form_data_for_edit(obj)
        return {**data, "permissions": await self._read_permissions(obj)}

    async def _read_permissions(self, group: Group) -> list[str]:
        async with self.site.database.reader(fresh=True) as session:
            return sorted(await _permissions_of_group(session, group))

    async def save_related(self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]) -> Changes:
        old = await _permissions_of_group(session, row)
        editable = set(editable_table(self.site, request, old).editable)
        new = (old - editable) | (set(related["permissions"] or ()) & editable)
        for removed in old - new:
            identity, _, action = removed.partition(":")
            deletion = delete(GroupPermission).filter_by(group_id=row.id, identity=identity, action=action)
            await session.execute(deletion)
        for added in new - old:
            identity, _, action = added.partition(":")
            session.add(GroupPermission(group_id=row.id, identity=identity, action=action))
        return {"permissions": [sorted(old), sorted(new)]} if old != new else {}

    async def before_delete(self, session: AsyncSession, row: Group, request: Request) -> None:
        if not _has_all(request, await _permissions_of_group(session, row)):
            raise ValidationRefused(EXCEEDS_OWN_PERMISSIONS)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "permissions":
            permissions = await self._read_permissions(obj)
            table = readable_table(self.site, {obj.name: permissions}).render() if permissions else EMPTY_CELL
            return permissions, table
        return await super().get_detail_value(obj, prop, request)


class MembershipAdmin(SuperuserOnly, AdminView, model=Membership):
    """Members of groups, for superusers only. Other staff could join a group with more permissions than their own."""

    name, plural = "Membership", "Memberships"
    columns = ("user_id", "group_id")
    can_edit = False
    icon, category = "ti ti-user-plus", "Accounts"


async def read_groups_of_user(session: AsyncSession, user: User) -> dict[int, str]:
    """Return the names of a user's groups by id."""
    statement = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    groups = await session.scalars(statement.where(col(Membership.user_id) == user.id).order_by(col(Group.name)))
    return {group.id: group.name for group in groups}


async def set_groups(session: AsyncSession, request: Request, user: User, group_ids: Collection[int]) -> Changes:
    """Set the groups of a user. Groups that the current user may not assign are kept as they are."""
    assignable = await find_assignable_groups(session, request)
    before, has_user = await read_groups_of_user(session, user), col(Membership.user_id) == user.id
    ids = (before.keys() - assignable) | (set(group_ids) & assignable)
    await session.execute(delete(Membership).where(has_user, col(Membership.group_id).not_in(ids)))
    session.add_all(Membership(user_id=user.id, group_id=group_id) for group_id in ids if group_id not in before)
    await session.flush()
    after = await read_groups_of_user(session, user)
    return {"groups": [list(before.values()), list(after.values())]} if before != after else {}


async def _permissions_of_group(session: AsyncSession, group: Group) -> set[str]:
    statement = select(*PERMISSION_COLUMNS).where(col(GroupPermission.group_id) == group.id)
    return {f"{identity}:{action}" for identity, action in await session.execute(statement)}
