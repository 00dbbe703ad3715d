"""Changes to flags and groups of users, for commands. Each `OperatorError` is one line for the terminal."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.db.hooks.registry import changes
from opportune.db.models.columns import label_of
from opportune.errors import OperatorError

LAST_SUPERUSER = "{email} is the last active superuser. Create another one first: python3 oppman.py createsuperuser"

IS_SUPERUSER: ColumnElement[bool] = and_(col(User.is_superuser), col(User.is_active))


async def list_users(
    session: AsyncSession, *conditions: ColumnElement[bool], limit: int
) -> list[tuple[User, Sequence[str]]]:
    """Return users with the names of their groups, newest first."""
    users = list(await session.scalars(select(User).where(*conditions).order_by(col(User.id).desc()).limit(limit)))
    group_names = await _group_names_by_user(session, [user.id for user in users])
    return [(user, group_names.get(user.id, ())) for user in users]


async def set_flags(session: AsyncSession, user: User, flags: Mapping[str, bool]) -> None:
    """Set `is_active`, `is_staff`, `is_superuser` and `is_verified`.

    Raises:
        OperatorError: the user is the last active superuser.
    """
    for name, value in flags.items():
        setattr(user, name, value)
    if labels := [label_of(name) for name in changes(user)]:
        record_event(session, user, "updated_by_staff", fields=", ".join(labels))
    if not (user.is_superuser and user.is_active):
        await require_other_superuser(session, user)


async def join_group(session: AsyncSession, user: User, name: str) -> None:
    """Add a user to a group. Raises OperatorError if the group does not exist."""
    group = await find_group(session, name)
    query = select(Membership).where(col(Membership.user_id) == user.id, col(Membership.group_id) == group.id)
    if await session.scalar(query) is None:
        session.add(Membership(user_id=user.id, group_id=group.id))


async def leave_group(session: AsyncSession, user: User, name: str) -> None:
    """Remove a user from a group. Raises OperatorError if the group does not exist."""
    group = await find_group(session, name)
    conditions = (col(Membership.user_id) == user.id, col(Membership.group_id) == group.id)
    await session.execute(delete(Membership).where(*conditions))


async def find_group(session: AsyncSession, name: str) -> Group:
    """Return the group of this name. Raises OperatorError if it does not exist."""
    group = await session.scalar(select(Group).where(col(Group.name) == name))
    if group is None:
        names = ", ".join(await session.scalars(select(col(Group.name)).order_by(col(Group.name)).limit(20)))
        advice = f"Existing groups: {names}" if names else "Create it in the admin."  # not translated
        raise OperatorError(f"There is no group {name}. {advice}")
    return group


async def list_groups(session: AsyncSession) -> list[tuple[str, int, list[str]]]:
    """Return the name, the number of members and the permissions, such as `todo:list`, of each group."""
    groups = list(await session.scalars(select(Group).order_by(col(Group.name))))
    member_counts = dict((await session.execute(MEMBER_COUNTS)).all())
    permissions: dict[int, list[str]] = {}
    query = select(GroupPermission).order_by(col(GroupPermission.identity), col(GroupPermission.action))
    for permission in await session.scalars(query):
        permissions.setdefault(permission.group_id, []).append(f"{permission.identity}:{permission.action}")
    return [(group.name, member_counts.get(group.id, 0), permissions.get(group.id, [])) for group in groups]


MEMBER_COUNTS = select(col(Membership.group_id), func.count()).group_by(col(Membership.group_id))


async def _group_names_by_user(session: AsyncSession, user_ids: Collection[int]) -> dict[int, list[str]]:
    """Return the names of the groups of each user, by user id."""
    query = (
        select(col(Membership.user_id), col(Group.name))
        .join(Group, col(Group.id) == col(Membership.group_id))
        .where(col(Membership.user_id).in_(user_ids))
        .order_by(col(Group.name))
    )
    names: dict[int, list[str]] = {}
    for user_id, name in await session.execute(query):
        names.setdefault(user_id, []).append(name)
    return names


async def require_other_superuser(session: AsyncSession, user: User) -> None:
    """Ensure that the site has a superuser after this user is removed or demoted.

    Raises:
        OperatorError: this is the last active superuser.
    """
    with session.no_autoflush:
        is_last = await lock_superusers(session) == {user.id}
    if is_last:
        raise OperatorError(LAST_SUPERUSER.format(email=user.email))


async def lock_superusers(session: AsyncSession) -> set[int]:
    """Lock the active superusers and return their ids. Concurrent removals wait for each other."""
    active = select(col(User.id)).where(IS_SUPERUSER).order_by(col(User.id)).with_for_update()
    return set(await session.scalars(active))
