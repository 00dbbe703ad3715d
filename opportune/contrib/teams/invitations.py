"""Invitations: an e-mail with a link, which whoever has proved that address accepts. The link alone proves nothing."""

import secrets
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.sessions.credentials import hash_token
from opportune.contrib.teams.models import INVITATION_LIFETIME, Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import InvitationCreate
from opportune.contrib.teams.service import find_member, hold_team, lock_team, require_room
from opportune.db.models.model import utc_now
from opportune.errors import FieldErrors, NotFound
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

INVITATIONS_PER_TEAM = RateLimit("teams.invitations_per_team", 100, 24 * HOUR_SECONDS)
INVITATIONS_PER_USER = RateLimit("teams.invitations_per_user", 50, HOUR_SECONDS)
MAX_OPEN_INVITATIONS = 200
"""Of one team."""

ALREADY_MEMBER = "They are a member already."
TOO_MANY_OPEN = f"{MAX_OPEN_INVITATIONS} invitations are open: withdraw some first."


async def invite(
    session: AsyncSession, team_id: int, user: User, new: InvitationCreate
) -> tuple[Team, TeamInvitation, str]:
    """Invite an address, or once more: the former link ends. Gives the team, the invitation and the link's token.

    Raises:
        NotFound: `user` is not in the team.
        Forbidden: they may not invite, or not to this role.
        FieldErrors: the address is a member's, or too many invitations are open.
    """
    access = await lock_team(session, team_id, user, TeamRole.ADMIN)
    access.require(new.role)
    if await find_member(session, team_id, new.email):
        raise FieldErrors({"email": ALREADY_MEMBER})
    theirs = select(TeamInvitation).where(col(TeamInvitation.team_id) == team_id)
    former = await session.scalar(theirs.where(col(TeamInvitation.email) == new.email))
    if former is None:
        await _require_room(session, team_id)
    else:
        await session.delete(former)
        await session.flush()
    token = secrets.token_urlsafe(32)
    invitation = TeamInvitation(
        team_id=team_id,
        email=new.email,
        role=new.role,
        token_hash=hash_token(token),
        invited_by_id=user.id,
        expires_at=utc_now() + INVITATION_LIFETIME,
    )
    session.add(invitation)
    await session.flush()
    return access.team, invitation, token


async def _require_room(session: AsyncSession, team_id: int) -> None:
    count = (
        select(func.count())
        .select_from(TeamInvitation)
        .where(col(TeamInvitation.team_id) == team_id, TeamInvitation.is_open())
    )
    if (await session.scalar(count) or 0) >= MAX_OPEN_INVITATIONS:
        raise FieldErrors({"": TOO_MANY_OPEN})


async def find_invitations(session: AsyncSession, team_id: int) -> Sequence[TeamInvitation]:
    """The open invitations of a team, the newest first."""
    query = select(TeamInvitation).where(col(TeamInvitation.team_id) == team_id, TeamInvitation.is_open())
    return (await session.scalars(query.order_by(col(TeamInvitation.id).desc()))).all()


async def withdraw(session: AsyncSession, team_id: int, user: User, invitation_id: int) -> None:
    """End an invitation. Raises NotFound and Forbidden."""
    access = await lock_team(session, team_id, user, TeamRole.ADMIN)
    query = select(TeamInvitation).where(
        col(TeamInvitation.id) == invitation_id, col(TeamInvitation.team_id) == team_id
    )
    invitation = await session.scalar(query)
    if invitation is None:
        raise NotFound
    access.require(invitation.role)
    await session.delete(invitation)
    await session.flush()


async def read_link(session: AsyncSession, token: str) -> tuple[TeamInvitation, Team] | None:
    """What a link invites to, and whom; None where it is over, was withdrawn, or is not ours."""
    query = select(TeamInvitation, Team).join(Team, col(Team.id) == col(TeamInvitation.team_id))
    found = (
        await session.execute(
            query.where(col(TeamInvitation.token_hash) == hash_token(token), TeamInvitation.is_open())
        )
    ).first()
    return (found[0], found[1]) if found else None


async def is_invited(session: AsyncSession, email: str) -> bool:
    """Return whether an open invitation waits for this address."""
    query = select(exists().where(col(TeamInvitation.email) == email, TeamInvitation.is_open()))
    return bool(await session.scalar(query))


async def find_own_invitations(session: AsyncSession, user: User) -> Sequence[tuple[TeamInvitation, Team]]:
    """What somebody is invited to by the address that they have proved."""
    query = select(TeamInvitation, Team).join(Team, col(Team.id) == col(TeamInvitation.team_id))
    rows = await session.execute(query.where(_is_for(user), TeamInvitation.is_open()).order_by(col(TeamInvitation.id)))
    return [(invitation, team) for invitation, team in rows]


async def accept(session: AsyncSession, invitation_id: int, user: User) -> Team:
    """Take somebody into the team that they are invited to, and have them be in it. A member stays what they are.

    Raises:
        NotFound: they are not, or not any more; or who invited them may not do so any more.
        FieldErrors: they are in too many teams, and the invitation stays.
    """
    mine = select(TeamInvitation).where(
        col(TeamInvitation.id) == invitation_id, _is_for(user), TeamInvitation.is_open()
    )
    if (invitation := await session.scalar(mine)) is None:
        raise NotFound
    await hold_team(session, invitation.team_id)
    team = await session.get(Team, invitation.team_id)
    member = await session.scalar(
        select(TeamMember).where(col(TeamMember.team_id) == invitation.team_id, col(TeamMember.user_id) == user.id)
    )
    if member is None:
        await require_room(session, user)
    gone = delete(TeamInvitation).where(col(TeamInvitation.id) == invitation_id, TeamInvitation.is_open())
    ended = (await session.execute(gone.returning(col(TeamInvitation.role)))).first()
    if team is None or (ended is None and member is None):  # withdrawn meanwhile
        raise NotFound
    if member is None and ended is not None:
        member = TeamMember(team_id=team.id, user_id=user.id, role=ended[0])
        record_event(session, user, "team_joined", team=team.name)
    assert member
    member.switched_at = utc_now()
    session.add(member)
    await session.flush()
    return team


async def decline(session: AsyncSession, invitation_id: int, user: User) -> None:
    """End an invitation of one's own. Raises NotFound."""
    mine = delete(TeamInvitation).where(col(TeamInvitation.id) == invitation_id, _is_for(user))
    if (await session.execute(mine.returning(col(TeamInvitation.id)))).first() is None:
        raise NotFound


def _is_for(user: User) -> ColumnElement[bool]:
    """By the address that is proved: nothing of others is there."""
    return col(TeamInvitation.email) == (user.email if user.is_verified else "")
