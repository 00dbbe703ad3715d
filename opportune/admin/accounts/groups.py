"""Admin pages of groups: their permissions and their members."""

from collections.abc import Collection
from typing import Any

from markupsafe import Markup
from sqladmin.authorization import Action
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts.models import Grant, Group, Membership, User
from opportune.admin.accounts.permission_table import PermissionTableField, editable_table, readable_table
from opportune.admin.authorization import SuperuserOnly, has_grant
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.wtforms_classes import CheckboxInput, ListWidget, SelectMultipleField
from opportune.admin.lists.formatters import EMPTY_CELL
from opportune.admin.log.diff import Changes
from opportune.admin.views import AdminView
from opportune.db.database import Database

EXCEEDS_OWN_PERMISSIONS = "This group has permissions that you do not have. A superuser can delete it."


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
    async def offered(cls, database: Database, request: Request) -> "GroupsField | None":
        """Return the field, or None for a user who may not assign groups."""
        async with database.reader(fresh=True) as session:
            assignable = await assignable_groups(session, request)
            groups = await session.scalars(select(Group).where(col(Group.id).in_(assignable)).order_by(col(Group.name)))
            choices = [(group.id, group.name) for group in groups]
        style = {"class": "form-check-input me-2"}
        return cls("Groups", choices=choices, coerce=int, render_kw=style) if choices else None


async def assignable_groups(session: AsyncSession, request: Request) -> set[int]:
    """Return the groups that the user may assign: editors of groups may assign those with permissions they hold."""
    if not has_grant(request, GroupAdmin.identity, Action.EDIT):
        return set()
    groups = select(col(Group.id), col(Grant.identity), col(Grant.action)).outerjoin(Grant)
    rows = (await session.execute(groups)).tuples().all()
    exceeding = {number for number, identity, action in rows if identity and not has_grant(request, identity, action)}
    return {number for number, _, _ in rows} - exceeding


async def exceeds(session: AsyncSession, request: Request, user: User) -> bool:
    """Return whether a user's groups hold a permission that the current user lacks."""
    granted = await grants_by_group(session, user)
    return not all(has_grant(request, *grant.split(":", 1)) for grants in granted.values() for grant in grants)


async def grants_by_group(session: AsyncSession, user: User) -> dict[str, list[str]]:
    """Return the grants of each group of a user, by name."""
    statement = (
        select(col(Group.name), col(Grant.identity), col(Grant.action))
        .join(Membership, col(Membership.group_id) == col(Group.id))
        .outerjoin(Grant, col(Grant.group_id) == col(Group.id))
        .where(col(Membership.user_id) == user.id)
        .order_by(col(Group.name))
    )
    grants: dict[str, list[str]] = {}
    for name, identity, action in await session.execute(statement):
        grants.setdefault(name, []).extend([f"{identity}:{action}"] if identity else [])
    return grants


class GroupAdmin(AdminView, model=Group):
    """Editors of groups give and take permissions that they hold. Other permissions are not offered and stay."""

    column_list = ("name",)
    column_details_list = ("name", "permissions")
    column_labels = {"permissions": "Permissions"}
    related_fields = ("permissions",)
    icon, category = "ti ti-users-group", "Accounts"

    async def form_class(self, request: Request, *, creating: bool) -> type[AdminForm]:
        form = await super().form_class(request, creating=creating)
        permissions = PermissionTableField("Permissions", site=self.site, request=request)
        return type("GroupForm", (form,), {"permissions": permissions})

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        data = await super().get_form_data_for_edit(obj)
        return {**data, "permissions": await self._granted(obj)}

    async def _granted(self, group: Group) -> list[str]:
        async with self.site.database.reader(fresh=True) as session:
            return sorted(await _grants(session, group))

    async def save_related(self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]) -> Changes:
        held = await _grants(session, row)
        offered = set(editable_table(self.site, request, held).offered)
        after = (held - offered) | (set(related["permissions"] or ()) & offered)
        for removed in held - after:
            identity, _, action = removed.partition(":")
            of_group = (col(Grant.group_id) == row.id, col(Grant.identity) == identity, col(Grant.action) == action)
            await session.execute(delete(Grant).where(*of_group))
        for added in after - held:
            identity, _, action = added.partition(":")
            session.add(Grant(group_id=row.id, identity=identity, action=action))
        return {"permissions": [sorted(held), sorted(after)]} if held != after else {}

    async def before_delete(self, session: AsyncSession, row: Group, request: Request) -> None:
        if not all(has_grant(request, *grant.split(":", 1)) for grant in await _grants(session, row)):
            raise ValidationRefused(EXCEEDS_OWN_PERMISSIONS)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "permissions":
            granted = await self._granted(obj)
            return granted, readable_table(self.site, {obj.name: granted}).render() if granted else EMPTY_CELL
        return await super().get_detail_value(obj, prop, request)


class MembershipAdmin(SuperuserOnly, AdminView, model=Membership):
    """For superusers: staff who could join any group could join one with more permissions."""

    name, name_plural = "Membership", "Memberships"
    column_list = ("user_id", "group_id")
    can_edit = False
    icon, category = "ti ti-user-plus", "Accounts"


GROUPS = (GroupAdmin, MembershipAdmin)


async def groups_of_user(session: AsyncSession, user: User) -> dict[int, str]:
    """Return the names of a user's groups by id."""
    statement = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    groups = await session.scalars(statement.where(col(Membership.user_id) == user.id).order_by(col(Group.name)))
    return {group.id: group.name for group in groups}


async def set_groups(session: AsyncSession, request: Request, user: User, group_ids: Collection[int]) -> Changes:
    """Set the user's groups, as far as the current user may assign and remove them."""
    assignable = await assignable_groups(session, request)
    before, has_user = await groups_of_user(session, user), col(Membership.user_id) == user.id
    ids = (before.keys() - assignable) | (set(group_ids) & assignable)
    await session.execute(delete(Membership).where(has_user, col(Membership.group_id).not_in(ids)))
    session.add_all(Membership(user_id=user.id, group_id=group_id) for group_id in ids if group_id not in before)
    await session.flush()
    after = await groups_of_user(session, user)
    return {"groups": [list(before.values()), list(after.values())]} if before != after else {}


async def _grants(session: AsyncSession, group: Group) -> set[str]:
    statement = select(col(Grant.identity), col(Grant.action)).where(col(Grant.group_id) == group.id)
    return {f"{identity}:{action}" for identity, action in await session.execute(statement)}
