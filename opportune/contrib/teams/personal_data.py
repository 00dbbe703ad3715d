"""Personal data of teams, and checks before a user is deleted or deactivated."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.users.hooks import may_refuse_deactivation
from opportune.config.email_domains import normalize_email
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember
from opportune.contrib.teams.owners import lock_sole_ownerships
from opportune.contrib.teams.service import remove_team
from opportune.db.hooks.registry import before_delete, before_update
from opportune.errors import FieldErrors
from opportune.feature import Person, PersonalData
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_list

OWNER_NEEDED_TO_DELETE = _l(
    "%(teams)s would have no active owner. First hand the team over, or delete it, on its page."
)
OWNER_NEEDED_TO_DEACTIVATE = _l(
    "%(teams)s would have no active owner. Make another active member owner first (in the admin under Members of teams)"
    ", or force the deactivation."
)


async def read_memberships(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return memberships, received and sent invitations, without their tokens."""
    memberships = select(col(Team.name), TeamMember).join(TeamMember, col(TeamMember.team_id) == col(Team.id))
    invitations = select(col(Team.name), TeamInvitation).join(
        TeamInvitation, col(TeamInvitation.team_id) == col(Team.id)
    )
    invitations = invitations.order_by(col(TeamInvitation.id))
    queries: dict[str, Select[str, Any]] = {
        "teams": memberships.where(col(TeamMember.user_id) == person.id).order_by(col(TeamMember.id)),
        "invitations": invitations.where(col(TeamInvitation.email) == normalize_email(person.email)),
        "invited": invitations.where(col(TeamInvitation.invited_by_id) == person.id),
    }
    hidden = {"user_id", "token_hash", "invited_by_id"}
    sections = {}
    for section, query in queries.items():
        rows = await session.execute(query)
        sections[section] = [{"team": name, **row.model_dump(exclude=hidden)} for name, row in rows]
    return sections


async def reason_to_keep(session: AsyncSession, person: Person) -> str:
    """Return why the user cannot be deleted, or "". Teams without other members are deleted with the user."""
    ownerships = await lock_sole_ownerships(session, person.id)
    teams = [ownership.team.name for ownership in ownerships if ownership.member_count > 1]
    return gettext(OWNER_NEEDED_TO_DELETE, teams=format_list(teams)) if teams else ""


async def delete_invitations(session: AsyncSession, person: Person) -> None:
    """Delete invitations to the user's address."""
    if person.email:
        address = normalize_email(person.email)
        for row in await session.scalars(select(TeamInvitation).where(col(TeamInvitation.email) == address)):
            await session.delete(row)


@before_delete(User)
async def keep_owners(session: AsyncSession, user: User) -> None:
    """Refuse to delete the only active owner of a team with other members. Delete teams without other members."""
    ownerships = await lock_sole_ownerships(session, user.id)
    if teams := [ownership.team.name for ownership in ownerships if ownership.member_count > 1]:
        raise FieldErrors({"": gettext(OWNER_NEEDED_TO_DELETE, teams=format_list(teams))})
    for ownership in ownerships:
        await remove_team(session, ownership.team)


@before_update(User)
async def keep_active_owners(session: AsyncSession, user: User) -> None:
    """Refuse to deactivate the only active owner of a team with other active members."""
    if not may_refuse_deactivation(session, user):
        return
    ownerships = await lock_sole_ownerships(session, user.id)
    if teams := [ownership.team.name for ownership in ownerships if ownership.has_other_active_member]:
        raise FieldErrors({"is_active": gettext(OWNER_NEEDED_TO_DEACTIVATE, teams=format_list(teams))})


personal_data = PersonalData(
    summary="Your memberships in teams, and teams without other members with all their data",
    read=read_memberships,
    refuse=reason_to_keep,
    forget=delete_invitations,
)
