"""The admin's pages for groups: what their members may do, and who the members are."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from sqladmin.contrib.rbac import PermissionMatrixField
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request
from wtforms import SelectMultipleField  # type: ignore[import-untyped]  # has no types
from wtforms.widgets import CheckboxInput, ListWidget  # type: ignore[import-untyped]  # has no types

from opportune.accounts.models import Grant, Group, Membership, User
from opportune.admin.authorization import SuperuserOnly, grantable_permissions, has_grant
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.lists.formatters import EMPTY_CELL
from opportune.admin.log.diff import Changes
from opportune.admin.views import AdminView
from opportune.db.database import Database

EXCEEDS_OWN_PERMISSIONS = "This group may do more than you may. A superuser can delete it."
BADGE = Markup('<span class="badge bg-secondary-lt">{}</span> ')


class CheckboxList(ListWidget):  # type: ignore[misc]  # its base has no types
    def __call__(self, field: Any, **options: Any) -> Markup:
        # What the field says of its class is for each box.
        shown: Markup = super().__call__(field, **{**options, "class": "list-unstyled d-grid gap-2 mb-0 pt-2"})
        return shown


class GroupsField(SelectMultipleField):  # type: ignore[misc]  # its base has no types
    """A box for each group."""

    widget = CheckboxList(prefix_label=False)
    option_widget = CheckboxInput()

    @classmethod
    async def of_all(cls, database: Database) -> "GroupsField":
        async with database.reader(fresh=True) as session:
            groups = (await session.scalars(select(Group).order_by(col(Group.name)))).all()
        choices = [(group.id, group.name) for group in groups]
        return cls("Groups", choices=choices, coerce=int, render_kw={"class": "form-check-input me-2"})


class GroupAdmin(AdminView, model=Group):
    """Whoever may edit groups gives and takes what they hold themselves. The rest is neither offered nor touched."""

    column_list = ("name",)
    column_details_list = ("name", "permissions")
    column_labels = {"permissions": "Permissions"}
    related_fields = ("permissions",)
    icon, category = "ti ti-users-group", "Accounts"

    async def form_class(self, request: Request, *, creating: bool) -> type[AdminForm]:
        form = await super().form_class(request, creating=creating)
        rows = grantable_permissions(self.site, request)
        return type("GroupForm", (form,), {"permissions": PermissionMatrixField("Permissions", rows=rows)})

    async def get_form_data_for_edit(self, obj: Any) -> dict[str, Any]:
        data = await super().get_form_data_for_edit(obj)
        return {**data, "permissions": await self._granted(obj)}

    async def _granted(self, group: Group) -> list[str]:
        async with self.site.database.reader(fresh=True) as session:
            return sorted(await _grants(session, group))

    async def save_related(self, session: AsyncSession, request: Request, row: Any, related: dict[str, Any]) -> Changes:
        offered = {choice.value for line in grantable_permissions(self.site, request) for choice in line.choices}
        held = await _grants(session, row)
        after = (held - offered) | (set(related["permissions"] or ()) & offered)
        for taken in held - after:
            identity, _, action = taken.partition(":")
            of_group = (col(Grant.group_id) == row.id, col(Grant.identity) == identity, col(Grant.action) == action)
            await session.execute(delete(Grant).where(*of_group))
        for given in after - held:
            identity, _, action = given.partition(":")
            session.add(Grant(group_id=row.id, identity=identity, action=action))
        return {"permissions": [sorted(held), sorted(after)]} if held != after else {}

    async def before_delete(self, session: AsyncSession, row: Group, request: Request) -> None:
        if not all(has_grant(request, *grant.split(":", 1)) for grant in await _grants(session, row)):
            raise ValidationRefused(EXCEEDS_OWN_PERMISSIONS)

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        if prop == "permissions":
            granted = await self._granted(obj)
            return granted, Markup("").join(BADGE.format(grant) for grant in granted) or EMPTY_CELL
        return await super().get_detail_value(obj, prop, request)


class MembershipAdmin(SuperuserOnly, AdminView, model=Membership):
    """Not for staff: who could join a group could join one that may do more."""

    name, name_plural = "Membership", "Memberships"
    column_list = ("user_id", "group_id")
    can_edit = False
    icon, category = "ti ti-user-plus", "Accounts"


GROUPS = (GroupAdmin, MembershipAdmin)


async def groups_of_user(session: AsyncSession, user: User) -> dict[int, str]:
    """The names of a user's groups by number."""
    mine = select(Group).join(Membership, col(Membership.group_id) == col(Group.id))
    groups = await session.scalars(mine.where(col(Membership.user_id) == user.id).order_by(col(Group.name)))
    return {group.id: group.name for group in groups}


async def set_groups(session: AsyncSession, user: User, numbers: Sequence[int]) -> Changes:
    """Make these the user's groups."""
    before, mine = await groups_of_user(session, user), col(Membership.user_id) == user.id
    await session.execute(delete(Membership).where(mine, col(Membership.group_id).not_in(numbers)))
    session.add_all(Membership(user_id=user.id, group_id=number) for number in numbers if number not in before)
    await session.flush()
    after = await groups_of_user(session, user)
    return {"groups": [list(before.values()), list(after.values())]} if before != after else {}


async def _grants(session: AsyncSession, group: Group) -> set[str]:
    statement = select(col(Grant.identity), col(Grant.action)).where(col(Grant.group_id) == group.id)
    return {f"{identity}:{action}" for identity, action in await session.execute(statement)}
