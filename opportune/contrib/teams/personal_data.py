"""What teams keep of a person, and whether they may leave."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.users.deactivation import may_refuse_deactivation
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember
from opportune.contrib.teams.service import remove_team, sole_ownerships
from opportune.db.hooks.registry import before_change, before_delete
from opportune.errors import FieldErrors
from opportune.feature import Person, PersonalData

NEEDED = "{teams} would have no active owner. Hand over, or delete, on the page of the team first."
OWNER_NEEDED = (
    "{teams} would have no active owner. Make another active member owner first (in the admin under Members of teams), "
    "or force the deactivation."
)


async def read(session: AsyncSession, person: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Their memberships, and what they were invited to, without what opens it."""
    memberships = select(col(Team.name), TeamMember).join(TeamMember, col(TeamMember.team_id) == col(Team.id))
    invitations = select(col(Team.name), TeamInvitation).join(
        TeamInvitation, col(TeamInvitation.team_id) == col(Team.id)
    )
    theirs = await session.execute(memberships.where(col(TeamMember.user_id) == person.id).order_by(col(TeamMember.id)))
    for_them = await session.execute(
        invitations.where(col(TeamInvitation.email) == person.email).order_by(col(TeamInvitation.id))
    )
    by_them = await session.execute(
        invitations.where(col(TeamInvitation.invited_by_id) == person.id).order_by(col(TeamInvitation.id))
    )
    hidden = {"user_id", "token_hash", "invited_by_id"}
    return {
        kind: [{"team": name, **row.model_dump(exclude=hidden)} for name, row in rows]
        for kind, rows in (("teams", theirs), ("invitations", for_them), ("invited", by_them))
    }


async def refuse(session: AsyncSession, person: Person) -> str:
    """Why they cannot leave yet; empty where they can. A team with nobody else in it goes with them."""
    needed = [each.team.name for each in await sole_ownerships(session, person.id) if each.members > 1]
    return NEEDED.format(teams=" and ".join(needed)) if needed else ""


async def forget(session: AsyncSession, person: Person) -> None:
    """Invitations to their address end."""
    if person.email:
        for row in await session.scalars(select(TeamInvitation).where(col(TeamInvitation.email) == person.email)):
            await session.delete(row)


@before_delete(User)
async def keep_owners(session: AsyncSession, user: User) -> None:
    """Whichever way somebody goes, a team that others are in keeps an owner. One that nobody else is in goes too."""
    for each in await sole_ownerships(session, user.id):
        if each.members > 1:
            raise FieldErrors({"": NEEDED.format(teams=each.team.name)})
        await remove_team(session, each.team)


@before_change(User)
async def keep_active_owners(session: AsyncSession, user: User) -> None:
    """Refuse to deactivate the only active owner of a team with other active members."""
    if not may_refuse_deactivation(session, user):
        return
    needed = [each.team.name for each in await sole_ownerships(session, user.id) if each.has_other_active_member]
    if needed:
        raise FieldErrors({"is_active": OWNER_NEEDED.format(teams=" and ".join(needed))})


personal_data = PersonalData(
    summary="Your place in teams, and teams that nobody else is in with all that is theirs",
    read=read,
    refuse=refuse,
    forget=forget,
)
