"""Admin pages of groups, and the field for the groups of a user."""

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any, cast

from markupsafe import Markup
from sqladmin.authorization import Action
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from wtforms import SelectMultipleField
from wtforms.widgets import CheckboxInput, ListWidget

from opportune.accounts.admin.permission_table import (
    PermissionTableField,
    editable_table,
    readable_table,
    split_permission,
)
from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.accounts.reauthentication import get_confirmed_user
from opportune.admin.authorization import has_staff_permission
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, FormExtension
from opportune.admin.lists.display import EMPTY_CELL
from opportune.admin.log.diff import Changes
from opportune.admin.views import AdminView
from opportune.db.database import Database
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

PERMISSION_COLUMNS = col(GroupPermission.identity), col(GroupPermission.action)
EXCEEDS_OWN_PERMISSIONS = _l("This group has permissions that you do not have. A superuser can delete it.")


class CheckboxList(ListWidget):  # type: ignore[misc]  # its base has no types
    def __call__(self, field: Any, **options: Any) -> Markup:
        # The class of the field is for the checkboxes, not for the list.
        return cast("Markup", super().__call__(field, **{**options, "class": "list-unstyled groups mb-0 pt-2"}))


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
    permissions = await read_permissions_by_group(session, user)
    return not _has_all(request, chain.from_iterable(permissions.values()))


def _has_all(request: Request, permissions: Iterable[str]) -> bool:
    return all(has_staff_permission(request, *split_permission(permission)) for permission in permissions)


async def read_permissions_by_group(session: AsyncSession, user: User) -> dict[str, list[str]]:
    statement = (
        select(col(Group.name), *PERMISSION_COLUMNS)
        .join(Membership, col(Membership.group_id) == col(Group.id))
        .outerjoin(GroupPermission, col(GroupPermission.group_id) == col(Group.id))
        .where(col(Membership.user_id) == user.id)
        .order_by(col(Group.name))
    )
    permissions: dict[str, list[str]] = {}
    for name, identity, action in await session.execute(statement):
        of_group = permissions.setdefault(name, [])
        if identity:  # NULL for a group without permissions
            of_group.append(f"{identity}:{action}")
    return permissions


class PermissionsOfGroup(FormExtension):
    names = ("permissions",)

    async def extend(self, form: type[AdminForm], request: Request, *, creating: bool) -> type[AdminForm]:
        permissions = PermissionTableField(_l("Permissions"), site=self.view.site, request=request)
        return type("GroupForm", (form,), {"permissions": permissions})

    async def save(self, session: AsyncSession, request: Request, row: Any, values: Mapping[str, Any]) -> Changes:
        old = await _permissions_of_group(session, row)
        editable = set(editable_table(self.view.site, request, old).editable)
        new = (old - editable) | (set(values["permissions"] or ()) & editable)
        for identity, action in map(split_permission, old - new):
            await session.execute(delete(GroupPermission).filter_by(group_id=row.id, identity=identity, action=action))
        for identity, action in map(split_permission, new - old):
            session.add(GroupPermission(group_id=row.id, identity=identity, action=action))
        if old == new:
            return {}
        await get_confirmed_user(request, request.state.user)
        return {"permissions": [sorted(old), sorted(new)]}


class GroupAdmin(AdminView, model=Group):
    """Groups. Editors may give and remove only permissions that they have themselves; other permissions are kept."""

    columns = ("name",)
    fields = ("name", "permissions")
    column_labels = {"permissions": "Permissions"}
    icon, category = "ti ti-users-group", "Accounts"
    _form_extension = PermissionsOfGroup

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        data = await super().get_form_data_for_edit(obj)
        return {**data, "permissions": await self._read_permissions(obj)}

    async def _read_permissions(self, group: Group) -> list[str]:
        async with self.site.database.reader(fresh=True) as session:
            return sorted(await _permissions_of_group(session, group))

    async def before_delete(self, session: AsyncSession, row: Group, request: Request) -> None:
        if not _has_all(request, await _permissions_of_group(session, row)):
            raise ValidationRefused(EXCEEDS_OWN_PERMISSIONS)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "permissions":
            permissions = await self._read_permissions(obj)
            table = readable_table(self.site, {obj.name: permissions}).render() if permissions else EMPTY_CELL
            return permissions, table
        return await super().get_detail_value(obj, prop, request)


async def read_groups_of_user(session: AsyncSession, user: User) -> dict[int, str]:
    statement = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    groups = await session.scalars(statement.where(col(Membership.user_id) == user.id).order_by(col(Group.name)))
    return {group.id: group.name for group in groups}


async def set_groups(session: AsyncSession, request: Request, user: User, group_ids: Collection[int]) -> Changes:
    """Set the groups of a user. Groups that the current user may not assign are kept as they are."""
    assignable = await find_assignable_groups(session, request)
    before = await read_groups_of_user(session, user)
    has_user = col(Membership.user_id) == user.id
    ids = (before.keys() - assignable) | (set(group_ids) & assignable)
    await session.execute(delete(Membership).where(has_user, col(Membership.group_id).not_in(ids)))
    session.add_all(Membership(user_id=user.id, group_id=group_id) for group_id in ids if group_id not in before)
    await session.flush()
    after = await read_groups_of_user(session, user)
    return {"groups": [list(before.values()), list(after.values())]} if before != after else {}


async def _permissions_of_group(session: AsyncSession, group: Group) -> set[str]:
    statement = select(*PERMISSION_COLUMNS).where(col(GroupPermission.group_id) == group.id)
    return {f"{identity}:{action}" for identity, action in await session.execute(statement)}
