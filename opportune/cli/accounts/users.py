"""List, add, change or delete users."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import management
from opportune.accounts.events.service import record_event
from opportune.accounts.flows import two_factor
from opportune.accounts.management import UserWithGroups
from opportune.accounts.models import User
from opportune.accounts.users.hooks import force_deactivation
from opportune.accounts.users.queries import delete_all_sessions
from opportune.cli.accounts.prompts import ask_password
from opportune.cli.options import NEW_PASSWORD, AsJson, NoInput, confirm
from opportune.cli.output import print_json, print_table, say
from opportune.cli.transaction import in_transaction, with_jobs
from opportune.db.queries.matching import contains
from opportune.project.installed import installed_features

command = typer.Typer()

FLAG_LABELS = {
    "is_superuser": "superuser",
    "is_staff": "staff",
    "is_verified": "verified",
    "has_two_factor": "two-factor",
}

Email = Annotated[str, typer.Argument(help="E-mail address of the user.", show_default=False)]
GroupNames = Annotated[list[str] | None, typer.Option(metavar="GROUP", help="Name of a group. Can be repeated.")]
Staff = Annotated[bool | None, typer.Option("--staff/--no-staff", help="Allow access to the admin.")]
Superuser = Annotated[bool | None, typer.Option("--superuser/--no-superuser", help="Give all permissions.")]
Active = Annotated[bool | None, typer.Option("--active/--inactive", help="Allow signing in.")]
Verified = Annotated[bool | None, typer.Option("--verified/--unverified", help="Mark the e-mail address as verified.")]


@command.command("list")
def list_users(
    search: Annotated[
        str, typer.Argument(help="List only users with this in their e-mail address.", show_default=False)
    ] = "",
    staff: Annotated[bool, typer.Option("--staff", help="List only staff and superusers.")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="List only inactive users.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of rows.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List users, newest first."""
    conditions = _conditions(search, staff=staff, inactive=inactive)
    users = in_transaction(lambda session: management.list_users(session, *conditions, limit=limit))
    if as_json:
        print_json([_as_data(*row) for row in users])
    elif users:
        rows = [(user.id, f"{user.created_at:%Y-%m-%d}", user.email, _remarks(user, groups)) for user, groups in users]
        print_table(("ID", "SINCE", "E-MAIL", "REMARKS"), rows, right=("ID",))
    else:
        say("No users match." if conditions else "There are no users.")


@command.command()
def add(
    email: Email,
    password: Annotated[str | None, NEW_PASSWORD] = None,
    no_input: NoInput = False,
    active: Active = None,
    staff: Staff = None,
    superuser: Superuser = None,
    verified: Verified = None,
    join: GroupNames = None,
) -> None:
    """Add a user, without sending an e-mail."""
    new_password = password or ask_password(email, management.check_new_email, no_input=no_input)
    flags = _flags(is_active=active, is_staff=staff, is_superuser=superuser, is_verified=verified)

    async def add_user(session: AsyncSession) -> UserWithGroups:
        user = await management.add_user(session, email, new_password, **flags)
        for name in join or ():
            await management.join_group(session, user, name)
        return await _with_groups(session, user)

    _print_user(*in_transaction(add_user))


@command.command()
def change(
    email: Email,
    active: Active = None,
    staff: Staff = None,
    superuser: Superuser = None,
    verified: Verified = None,
    new_email: Annotated[
        str | None, typer.Option("--email", help="New e-mail address, unverified unless you add --verified.")
    ] = None,
    join: GroupNames = None,
    leave: GroupNames = None,
    reset_two_factor: Annotated[bool, typer.Option("--reset-two-factor", help="Turn off two-factor sign-in.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Deactivate even if a feature needs the account.")] = False,
) -> None:
    """Change a user. Either all changes are made or none."""
    flags = _flags(is_active=active, is_staff=staff, is_superuser=superuser, is_verified=verified)
    if not (flags or new_email or join or leave or reset_two_factor):
        raise typer.BadParameter("Add at least one option with a change.")

    async def change_user(session: AsyncSession) -> UserWithGroups:
        user = await management.find_user(session, email)
        if force:
            force_deactivation(session)
        if new_email:
            await management.change_email(session, user, new_email)
        await management.set_flags(session, user, flags)
        for name in join or ():
            await management.join_group(session, user, name)
        for name in leave or ():
            await management.leave_group(session, user, name)
        if reset_two_factor:
            await two_factor.reset_two_factor(session, user)
            record_event(session, user, "updated_by_staff", fields=["Two-factor"])
        return await _with_groups(session, user)

    _print_user(*in_transaction(change_user))


@command.command("sign-out")
def sign_out(email: Email) -> None:
    """End all sessions and tokens of a user."""

    async def end_sessions(session: AsyncSession) -> User:
        user = await management.find_user(session, email)
        await delete_all_sessions(session, user)
        record_event(session, user, "all_sessions_ended")
        return user

    say(f"{in_transaction(end_sessions).email} was signed out everywhere.")


@command.command()
def delete(email: Email, yes: NoInput = False) -> None:
    """Delete a user with all personal data, without sending an e-mail."""
    if not yes:
        address = in_transaction(lambda session: management.find_user(session, email)).email
        confirm(f"Deleting {address}", f"Delete {address} with all personal data? This cannot be undone.")
    features = installed_features()
    user = with_jobs(lambda jobs, session: management.delete_user(session, jobs.database, features, email))
    say(f"Deleted {user.email} with all personal data.")


@command.command("groups")
def list_groups(as_json: AsJson = False) -> None:
    """List the groups and their permissions."""
    groups = in_transaction(management.list_groups)
    if as_json:
        print_json([group._asdict() for group in groups])
    elif groups:
        rows = ((group.name, group.members, ", ".join(group.permissions) or "nothing yet") for group in groups)
        print_table(("GROUP", "MEMBERS", "MAY"), rows, right=("MEMBERS",))
    else:
        say("There are no groups. Create one in the admin.")


def _flags(**flags: bool | None) -> Mapping[str, bool]:
    return {name: value for name, value in flags.items() if value is not None}


async def _with_groups(session: AsyncSession, user: User) -> UserWithGroups:
    await session.flush()
    return (await management.list_users(session, col(User.id) == user.id, limit=1))[0]


def _conditions(search: str, *, staff: bool, inactive: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [contains(col(User.email), search)] if search else []
    if staff:
        conditions.append(col(User.is_staff) | col(User.is_superuser))
    if inactive:
        conditions.append(~col(User.is_active))
    return conditions


def _print_user(user: User, groups: Sequence[str]) -> None:
    say(f"{user.email}: {_remarks(user, groups) or 'a user without permissions'}")


def _remarks(user: User, groups: Sequence[str]) -> str:
    remarks = [] if user.is_active else ["inactive"]
    remarks += [label for name, label in FLAG_LABELS.items() if getattr(user, name)]
    return ", ".join([*remarks, *(f"in {name}" for name in groups)])


def _as_data(user: User, groups: Sequence[str]) -> dict[str, Any]:
    names = ("id", "email", "is_active", *FLAG_LABELS, "created_at")
    return {**{name: getattr(user, name) for name in names}, "groups": list(groups)}
