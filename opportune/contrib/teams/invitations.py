"""Invitations by e-mail. Only a user with that verified address can accept; the link alone is not enough.

E-mails have rate limits per user, team and recipient.
"""

import secrets
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.sessions.credentials import hash_token
from opportune.accounts.users.context import AccountContext
from opportune.contrib.teams.memberships import find_member, hand_over
from opportune.contrib.teams.models import INVITATION_LIFETIME, Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.schemas import InvitationCreate
from opportune.contrib.teams.service import TeamMembership, lock_team, lock_team_row, lock_user_below_team_limit
from opportune.db.clock import utc_now
from opportune.errors import FieldErrors, require_found
from opportune.i18n import format_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.mail import enqueue_email, render_email
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit

INVITATIONS_PER_TEAM = RateLimit("teams.invitations_per_team", 100, 24 * HOUR_SECONDS)
INVITATIONS_PER_USER = RateLimit("teams.invitations_per_user", 50, HOUR_SECONDS)
MAX_OPEN_INVITATIONS = 200
"""Open invitations per team."""

ALREADY_MEMBER = _l("This user is already a member.")
TOO_MANY_OPEN = format_lazy("%(number)s invitations are open: withdraw some first.", number=MAX_OPEN_INVITATIONS)


async def invite(
    session: AsyncSession, team_id: int, user: User, new: InvitationCreate
) -> tuple[Team, TeamInvitation, str]:
    """Create an invitation, replacing a previous one to the same address.

    Returns:
        The team, the invitation, and the token for the link.

    Raises:
        NotFound: The user is not in the team.
        Forbidden: The user may not invite, or not with this role.
        FieldErrors: The address belongs to a member, or too many invitations are open.
    """
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    membership.require(new.role)
    if await find_member(session, team_id, new.email):
        raise FieldErrors({"email": ALREADY_MEMBER})
    await _delete_previous(session, membership, new.email)
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
    return membership.team, invitation, token


async def _delete_previous(session: AsyncSession, membership: TeamMembership, email: str) -> None:
    """Delete an earlier invitation to this address, as `withdraw` does. Without one, check the number of others."""
    of_team = select(TeamInvitation).where(col(TeamInvitation.team_id) == membership.team.id)
    previous = await session.scalar(of_team.where(col(TeamInvitation.email) == email))
    if previous:
        if previous.expires_at > utc_now():
            membership.require(previous.role)
        await session.delete(previous)
        await session.flush()
    elif len(await find_invitations(session, membership.team.id)) >= MAX_OPEN_INVITATIONS:
        raise FieldErrors({"": TOO_MANY_OPEN})


async def find_invitations(session: AsyncSession, team_id: int) -> Sequence[TeamInvitation]:
    """Return the open invitations of a team, newest first."""
    query = select(TeamInvitation).where(col(TeamInvitation.team_id) == team_id, TeamInvitation.is_open())
    return (await session.scalars(query.order_by(col(TeamInvitation.id).desc()))).all()


async def withdraw(session: AsyncSession, team_id: int, user: User, invitation_id: int) -> None:
    """Delete an invitation of a team.

    Raises:
        NotFound: The team has no such invitation.
        Forbidden: The user's role is too low.
    """
    membership = await lock_team(session, team_id, user, TeamRole.ADMIN)
    query = select(TeamInvitation).where(
        col(TeamInvitation.id) == invitation_id, col(TeamInvitation.team_id) == team_id
    )
    invitation = require_found(await session.scalar(query))
    membership.require(invitation.role)
    await session.delete(invitation)
    await session.flush()


async def read_link(session: AsyncSession, token: str) -> tuple[TeamInvitation, Team] | None:
    """Return the invitation and team of a link, or None if it is invalid, expired or withdrawn."""
    query = select(TeamInvitation, Team).join(Team, col(Team.id) == col(TeamInvitation.team_id))
    query = query.where(col(TeamInvitation.token_hash) == hash_token(token), TeamInvitation.is_open())
    row = (await session.execute(query)).first()
    return (row[0], row[1]) if row else None


async def is_invited(session: AsyncSession, email: str) -> bool:
    """Return True if there is an open invitation to this address."""
    query = select(exists().where(col(TeamInvitation.email) == email, TeamInvitation.is_open()))
    return bool(await session.scalar(query))


async def find_own_invitations(session: AsyncSession, user: User) -> Sequence[tuple[TeamInvitation, Team]]:
    """Return the open invitations to the user's verified address, with their teams."""
    query = select(TeamInvitation, Team).join(Team, col(Team.id) == col(TeamInvitation.team_id))
    query = query.where(_is_invitation_for(user), TeamInvitation.is_open()).order_by(col(TeamInvitation.id))
    return [(invitation, team) for invitation, team in await session.execute(query)]


async def accept(session: AsyncSession, invitation_id: int, user: User) -> Team:
    """Add the user to the team and make it their current one. The role of a member does not change.

    Raises:
        NotFound: The invitation is not for the user or no longer valid, or its sender may no longer invite.
        FieldErrors: The user is in too many teams. The invitation remains.
    """
    team_id = await _find_inviting_team(session, invitation_id, user)
    await lock_team_row(session, team_id)
    team = require_found(await session.get(Team, team_id))
    membership = select(TeamMember).where(col(TeamMember.team_id) == team_id, col(TeamMember.user_id) == user.id)
    member = await session.scalar(membership)
    if member is None:
        await lock_user_below_team_limit(session, user)
    used = delete(TeamInvitation).where(col(TeamInvitation.id) == invitation_id, TeamInvitation.is_open())
    role = await session.scalar(used.returning(col(TeamInvitation.role)))
    if member is None:
        role = require_found(role)  # None if a concurrent transaction has withdrawn it
        member = TeamMember(team_id=team.id, user_id=user.id, role=role)
        record_event(session, user, "team_joined", team=team.name)
    member.switched_at = utc_now()
    session.add(member)
    await session.flush()
    return team


async def _find_inviting_team(session: AsyncSession, invitation_id: int, user: User) -> int:
    """Return the id of the team of an open invitation to the user.

    Raises:
        NotFound: The user has no such invitation.
    """
    query = select(col(TeamInvitation.team_id)).where(
        col(TeamInvitation.id) == invitation_id, _is_invitation_for(user), TeamInvitation.is_open()
    )
    return require_found(await session.scalar(query))


async def decline(session: AsyncSession, invitation_id: int, user: User) -> None:
    """Delete an invitation to the user.

    Raises:
        NotFound: The user has no such invitation.
    """
    declined = delete(TeamInvitation).where(col(TeamInvitation.id) == invitation_id, _is_invitation_for(user))
    require_found(await session.scalar(declined.returning(col(TeamInvitation.id))))


def _is_invitation_for(user: User) -> ColumnElement[bool]:
    return col(TeamInvitation.email) == TeamInvitation.address_of(user)


async def invite_by_email(context: AccountContext, team_id: int, user: User, new: InvitationCreate) -> TeamInvitation:
    """Create an invitation and send it.

    Raises:
        NotFound, Forbidden, FieldErrors: See `invite`.
        TooManyRequests: A rate limit of the user, the team or the recipient is exceeded.
    """
    await context.session.commit()
    await context.limiter.hit(INVITATIONS_PER_USER.by(user.id), INVITATIONS_PER_TEAM.by(team_id))
    await context.count_email(new.email)
    team, invitation, token = await invite(context.session, team_id, user, new)
    _send(context, new.email, "", "invitation", user, team=team.name, token=token)
    return invitation


async def hand_over_team(context: AccountContext, team_id: int, user: User, email: str) -> User:
    """Make another member the owner, and tell them by e-mail. Raises as `hand_over`."""
    owner = await hand_over(context.session, team_id, user, email)
    team = await context.session.get_one(Team, team_id)
    _send(context, owner.email, owner.language, "handed_over", user, team=team)
    return owner


def _send(context: AccountContext, to: str, language: str, template: str, by: User, **values: object) -> None:
    if email_is_enabled(context.settings):
        values["by"] = by.get_short_name() or by.email
        email = render_email(context.settings, to, f"teams/mail/{template}", values, language=language)
        enqueue_email(context.session, email)
