"""`oppman.py users list|change|groups`: who has an account, and what they may do."""

from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.groups import service
from opportune.accounts.management import find_user
from opportune.accounts.models import User
from opportune.accounts.two_factor import totp
from opportune.cli.transaction import in_transaction

command = typer.Typer()

SHOWN = {
    "is_superuser": "superuser",
    "is_staff": "staff",
    "is_verified": "verified",
    "has_two_factor": "two-factor",
}

Names = Annotated[list[str] | None, typer.Option(metavar="GROUP", help="May be given more than once.")]


@command.command("list")
def list_users(
    word: Annotated[str, typer.Argument(help="Only those with this in their e-mail.", show_default=False)] = "",
    staff: Annotated[bool, typer.Option("--staff", help="Only staff and superusers.")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="Only those who cannot sign in.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """List users, the newest first."""
    wanted = _conditions(word, staff=staff, inactive=inactive)
    found = in_transaction(lambda session: service.list_users(session, *wanted, limit=limit))
    for user, groups in found:
        print(f"{user.id:>6}  {user.created_at:%Y-%m-%d}  {user.email}  {_remarks(user, groups)}".rstrip())
    if not found:
        print("There are no such users." if wanted else "There are no users.")


@command.command()
def change(
    email: Annotated[str, typer.Argument(help="Whose account.", show_default=False)],
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="May sign in.")] = None,
    staff: Annotated[bool | None, typer.Option("--staff/--no-staff", help="May enter the admin.")] = None,
    superuser: Annotated[bool | None, typer.Option("--superuser/--no-superuser", help="May do everything.")] = None,
    join: Names = None,
    leave: Names = None,
    reset_two_factor: Annotated[bool, typer.Option("--reset-two-factor", help="The password is enough then.")] = False,
) -> None:
    """Change what somebody may do, all or nothing."""
    given = {"is_active": active, "is_staff": staff, "is_superuser": superuser}
    flags = {name: value for name, value in given.items() if value is not None}
    if not (flags or join or leave or reset_two_factor):
        raise typer.BadParameter("Say what to change.")

    async def work(session: AsyncSession) -> tuple[User, Sequence[str]]:
        user = await find_user(session, email)
        await service.set_flags(session, user, flags)
        for name in join or ():
            await service.join_group(session, user, name)
        for name in leave or ():
            await service.leave_group(session, user, name)
        if reset_two_factor:
            await totp.disable(session, user)
        return (await service.list_users(session, col(User.id) == user.id, limit=1))[0]

    user, groups = in_transaction(work)
    print(f"{user.email}: {_remarks(user, groups) or 'a user without rights'}")


@command.command()
def groups() -> None:
    """List the groups and what their members may do."""
    found = in_transaction(service.list_groups)
    for name, members, grants in found:
        print(f"{name} ({members} {'member' if members == 1 else 'members'}): {', '.join(grants) or 'nothing yet'}")
    if not found:
        print("There are no groups. Make one in the admin.")


def _conditions(word: str, *, staff: bool, inactive: bool) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [col(User.email).icontains(word, autoescape=True)] if word else []
    if staff:
        wanted.append(col(User.is_staff) | col(User.is_superuser))
    if inactive:
        wanted.append(~col(User.is_active))
    return wanted


def _remarks(user: User, groups: Sequence[str]) -> str:
    marks = [] if user.is_active else ["inactive"]
    marks += [word for name, word in SHOWN.items() if getattr(user, name)]
    return ", ".join([*marks, *(f"in {name}" for name in groups)])
