"""Changes to accounts, for commands. Each `OperatorError` is one line for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.flows.deletion import delete_personal_data, find_deletion_refusal
from opportune.accounts.models import Group, GroupPermission, Membership, User
from opportune.accounts.schemas import EMAIL_ADAPTER
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.errors import EmailTakenError, InvalidPasswordError
from opportune.accounts.users.queries import find_by_email, lock_superusers
from opportune.db.database import Database
from opportune.db.hooks.registry import changes
from opportune.db.models.labels import label_of
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.errors import OperatorError
from opportune.feature import Feature

LAST_SUPERUSER = "{email} is the last active superuser. Create another one first: python3 oppman.py createsuperuser"


class UserWithGroups(NamedTuple):
    user: User
    groups: Sequence[str]
    """Names of the user's groups."""


class GroupSummary(NamedTuple):
    name: str
    members: int
    """Number of members."""
    permissions: list[str]
    """Permissions such as `todo:list`."""


class EmailRefusedError(OperatorError):
    """A command cannot be used with an e-mail address."""


async def create_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Create a superuser.

    Raises:
        OperatorError: The e-mail is invalid or has an account, or the password is too weak.
    """
    # The address is verified, because only operators of the site can run this command.
    return await add_user(session, email, password, is_staff=True, is_superuser=True, is_verified=True)


async def set_password(session: AsyncSession, email: str, password: str) -> User:
    """Set a new password, which ends all sessions of the user.

    Raises:
        OperatorError: The user does not exist, or the password is too weak.
    """
    user = await find_user(session, email)
    with as_operator_error(email):
        user = await user_manager(session).change(user, password=password)
    record_event(session, user, "updated_by_staff", fields=["Password"])
    return user


async def add_user(session: AsyncSession, email: str, password: str, **flags: bool) -> User:
    """Create a user with these flags.

    Raises:
        OperatorError: The e-mail is invalid or has an account, or the password is too weak.
    """
    with as_operator_error(email):
        return await user_manager(session).register(valid_email(email), password, **flags)


def valid_email(email: str) -> str:
    """Return an e-mail in the form in which it is stored.

    Raises:
        EmailRefusedError: The e-mail is invalid.
    """
    try:
        return EMAIL_ADAPTER.validate_python(email)
    except ValidationError:
        raise EmailRefusedError(f"{email} is not a valid e-mail address.") from None


async def check_new_email(session: AsyncSession, email: str) -> None:
    """Check that an account with this e-mail can be created, before a command asks for more.

    Raises:
        EmailRefusedError: The e-mail is invalid or has an account.
    """
    valid_email(email)
    with as_operator_error(email):
        if await find_by_email(session, email):
            raise EmailTakenError


async def change_email(session: AsyncSession, user: User, email: str) -> User:
    """Change a user's e-mail. The new address is unverified.

    Raises:
        OperatorError: The e-mail is invalid or belongs to another account.
    """
    new_email = valid_email(email)
    with as_operator_error(email):
        user = await user_manager(session).change(user, email=new_email)
    record_event(session, user, "updated_by_staff", fields=["E-mail"])
    return user


async def delete_user(session: AsyncSession, database: Database, features: Sequence[Feature], email: str) -> User:
    """Delete a user with all personal data. The user is not notified.

    Raises:
        OperatorError: The user does not exist, is the last superuser, or is needed by a feature.
    """
    user = await find_user(session, email)
    await _require_deletable(session, features, user)
    await session.commit()  # so that other requests can write during a long deletion
    await delete_dependents_in_batches(database, User, user.id)
    await _require_deletable(session, features, user)
    await delete_personal_data(session, features, user)
    await user_manager(session).delete(user)
    return user


async def _require_deletable(session: AsyncSession, features: Sequence[Feature], user: User) -> None:
    await _require_other_superuser(session, user)
    if refusal := await find_deletion_refusal(session, features, user):
        raise OperatorError(refusal)


async def _require_other_superuser(session: AsyncSession, user: User) -> None:
    """Ensure that the site has a superuser after this user is removed or demoted.

    Raises:
        OperatorError: This is the last active superuser.
    """
    with session.no_autoflush:
        is_last = await lock_superusers(session) == {user.id}
    if is_last:
        raise OperatorError(LAST_SUPERUSER.format(email=user.email))


async def find_user(session: AsyncSession, email: str) -> User:
    """Return the user with this e-mail, in upper or lower case.

    Raises:
        EmailRefusedError: The user does not exist.
    """
    user = await find_by_email(session, email)
    if user is None:
        raise EmailRefusedError(f"There is no user with the e-mail {email}.")
    return user


@contextmanager
def as_operator_error(email: str) -> Iterator[None]:
    try:
        yield
    except EmailTakenError:
        raise EmailRefusedError(
            f"{email} already has an account. To make it a superuser: python3 oppman.py users change {email} "
            f"--superuser. For a new password: python3 oppman.py changepassword {email}"
        ) from None
    except InvalidPasswordError as error:
        raise OperatorError(f"The password is not accepted. {error}") from None


async def list_users(session: AsyncSession, *conditions: ColumnElement[bool], limit: int) -> list[UserWithGroups]:
    """Return users with the names of their groups, newest first."""
    newest = select(User).where(*conditions).order_by(col(User.id).desc()).limit(limit)
    users = list(await session.scalars(newest))
    query = (
        select(col(Membership.user_id), col(Group.name))
        .join(Group, col(Group.id) == col(Membership.group_id))
        .where(col(Membership.user_id).in_([user.id for user in users]))
        .order_by(col(Group.name))
    )
    group_names: dict[int, list[str]] = {}
    for user_id, name in await session.execute(query):
        group_names.setdefault(user_id, []).append(name)
    return [UserWithGroups(user, group_names.get(user.id, ())) for user in users]


async def set_flags(session: AsyncSession, user: User, flags: Mapping[str, bool]) -> None:
    """Set `is_active`, `is_staff`, `is_superuser` and `is_verified`.

    Raises:
        OperatorError: The user is the last active superuser.
    """
    for name, value in flags.items():
        setattr(user, name, value)
    if labels := [str.__str__(label_of(name)) for name in changes(user)]:
        record_event(session, user, "updated_by_staff", fields=labels)
    if not (user.is_superuser and user.is_active):
        await _require_other_superuser(session, user)


async def join_group(session: AsyncSession, user: User, name: str) -> None:
    """Add a user to a group.

    Raises:
        OperatorError: The group does not exist.
    """
    group = await find_group(session, name)
    if await session.scalar(select(Membership).filter_by(user_id=user.id, group_id=group.id)) is None:
        session.add(Membership(user_id=user.id, group_id=group.id))
        record_event(session, user, "updated_by_staff", fields=["Groups"])


async def leave_group(session: AsyncSession, user: User, name: str) -> None:
    """Remove a user from a group.

    Raises:
        OperatorError: The group does not exist.
    """
    group = await find_group(session, name)
    deletion = delete(Membership).filter_by(user_id=user.id, group_id=group.id).returning(col(Membership.id))
    if await session.scalar(deletion):
        record_event(session, user, "updated_by_staff", fields=["Groups"])


async def find_group(session: AsyncSession, name: str) -> Group:
    """Return the group of this name.

    Raises:
        OperatorError: The group does not exist.
    """
    group = await session.scalar(select(Group).where(col(Group.name) == name))
    if group is None:
        names = ", ".join(await session.scalars(select(col(Group.name)).order_by(col(Group.name)).limit(20)))
        advice = f"Existing groups: {names}" if names else "Create it in the admin."  # not translated
        raise OperatorError(f"There is no group {name}. {advice}")
    return group


async def list_groups(session: AsyncSession) -> list[GroupSummary]:
    """Return all groups, sorted by name."""
    groups = list(await session.scalars(select(Group).order_by(col(Group.name))))
    members = select(col(Membership.group_id), func.count()).group_by(col(Membership.group_id))
    member_counts = dict((await session.execute(members)).all())
    permissions: dict[int, list[str]] = {}
    query = select(GroupPermission).order_by(col(GroupPermission.identity), col(GroupPermission.action))
    for permission in await session.scalars(query):
        permissions.setdefault(permission.group_id, []).append(f"{permission.identity}:{permission.action}")
    return [GroupSummary(group.name, member_counts.get(group.id, 0), permissions.get(group.id, [])) for group in groups]
