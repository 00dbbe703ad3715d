"""JSON API of teams."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import AccountCtx, AccountOwner, CurrentUser
from opportune.accounts.models import User
from opportune.accounts.reauthentication import require_password
from opportune.accounts.schemas import Reauthentication
from opportune.contrib.teams import invitations, memberships, schemas, service
from opportune.contrib.teams.models import TeamInvitation, TeamRole
from opportune.contrib.teams.user_teams import read_teams
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, ReadSession, WriteSession
from opportune.errors import require_found
from opportune.pagination import Page
from opportune.web.errors.openapi import error_responses
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/teams", tags=["teams"])
REFUSALS = error_responses(403, 404, 422)


@router.get("")
async def list_teams(user: CurrentUser, session: ReadSession) -> list[schemas.TeamRead]:
    """Return the user's teams, the current one first."""
    return await _read_own_teams(session, user)


@router.post("", status_code=201)
async def create_team(new: schemas.TeamCreate, user: CurrentUser, session: WriteSession) -> schemas.TeamRead:
    """Create a team with the user as its owner."""
    team = await service.create_team(session, user, new)
    return await _read_team(session, team.id, user)


@router.get("/invitations")
async def list_own_invitations(user: CurrentUser, session: ReadSession) -> list[schemas.OwnInvitationRead]:
    """Return the open invitations to the user's verified e-mail address."""
    return [
        schemas.OwnInvitationRead(team=team.name, **invitation.model_dump(include={"id", "role", "expires_at"}))
        for invitation, team in await invitations.find_own_invitations(session, user)
    ]


@router.post("/invitations/{invitation_id}/accept", responses=REFUSALS)
async def accept(invitation_id: RowId, user: AccountOwner, session: WriteSession) -> schemas.TeamRead:
    """Join the team. The role of a member does not change."""
    team = await invitations.accept(session, invitation_id, user)
    return await _read_team(session, team.id, user)


@router.delete("/invitations/{invitation_id}", status_code=204, responses=error_responses(404))
async def decline(invitation_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    await invitations.decline(session, invitation_id, user)


@router.get("/{team_id}", responses=error_responses(404))
async def get_team(team_id: RowId, user: CurrentUser, session: ReadSession) -> schemas.TeamRead:
    return await _read_team(session, team_id, user)


@router.patch("/{team_id}", responses=REFUSALS)
async def update(
    team_id: RowId, changes: schemas.TeamUpdate, user: CurrentUser, session: WriteSession
) -> schemas.TeamRead:
    await service.rename_team(session, team_id, user, changes.name)
    return await _read_team(session, team_id, user)


@router.delete("/{team_id}", status_code=204, responses=REFUSALS)
async def delete(
    team_id: RowId, data: Reauthentication, user: CurrentUser, database: DatabaseDependency, context: AccountCtx
) -> None:
    """Delete a team with all its rows. Only owners, who confirm their password."""
    await service.open_team(context.session, team_id, user, TeamRole.OWNER)
    await context.session.commit()  # do not block other writes
    await require_password(context, user, data.current_password)
    await service.delete_team(context.session, database, team_id, user)


@router.post("/{team_id}/switch", responses=error_responses(404))
async def switch(team_id: RowId, user: CurrentUser, session: WriteSession) -> schemas.TeamRead:
    """Make this team the current one in the browser. API clients send the header X-Team instead."""
    await service.switch_team(session, team_id, user)
    return await _read_team(session, team_id, user)


@router.post("/{team_id}/leave", status_code=204, responses=error_responses(404, 422))
async def leave(team_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    """Leave a team. Returns 422 for its only owner."""
    await memberships.leave_team(session, team_id, user)


@router.post("/{team_id}/hand-over", status_code=204, responses=REFUSALS)
async def hand_over(team_id: RowId, data: schemas.TeamHandOver, user: AccountOwner, context: AccountCtx) -> None:
    """Make another member the owner. The current owner confirms the password and becomes an admin."""
    await service.open_team(context.session, team_id, user, TeamRole.OWNER)
    await context.session.commit()
    await require_password(context, user, data.current_password)
    await invitations.hand_over_team(context, team_id, user, data.email)


@router.get("/{team_id}/members", responses=error_responses(404, 422))
async def list_members(
    team_id: RowId, user: CurrentUser, session: ReadSession, data: Annotated[schemas.MemberFilter, Query()]
) -> Page[schemas.MemberRead]:
    await service.open_team(session, team_id, user)
    return await memberships.find_members(session, team_id, user, data)


@router.patch("/{team_id}/members/{member_id}", responses=REFUSALS)
async def update_member(
    team_id: RowId, member_id: RowId, changes: schemas.MemberUpdate, user: AccountOwner, session: WriteSession
) -> schemas.MemberRead:
    """Change the role of a member, at most to one's own. Returns 422 for the only owner."""
    member = await memberships.update_role(session, team_id, user, member_id, changes.role)
    return memberships.to_member_read(member, await session.get_one(User, member.user_id), user)


@router.delete("/{team_id}/members/{member_id}", status_code=204, responses=REFUSALS)
async def delete_member(team_id: RowId, member_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    """Remove a member with at most one's own role. Returns 422 for the only owner."""
    await memberships.delete_member(session, team_id, user, member_id)


@router.get("/{team_id}/invitations", responses=REFUSALS, response_model=list[schemas.InvitationRead])
async def list_invitations(team_id: RowId, user: CurrentUser, session: ReadSession) -> Sequence[TeamInvitation]:
    """Return the open invitations, newest first."""
    await service.open_team(session, team_id, user, TeamRole.ADMIN)
    return await invitations.find_invitations(session, team_id)


@router.post("/{team_id}/invitations", status_code=201, responses=REFUSALS, response_model=schemas.InvitationRead)
async def invite(
    team_id: RowId, new: schemas.InvitationCreate, user: AccountOwner, context: AccountCtx
) -> TeamInvitation:
    """Send an invitation with at most one's own role. A new one replaces the previous one to the same address."""
    await service.open_team(context.session, team_id, user, TeamRole.ADMIN)
    return await invitations.invite_by_email(context, team_id, user, new)


@router.delete("/{team_id}/invitations/{invitation_id}", status_code=204, responses=REFUSALS)
async def withdraw(team_id: RowId, invitation_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    await invitations.withdraw(session, team_id, user, invitation_id)


async def _read_own_teams(session: AsyncSession, user: User) -> list[schemas.TeamRead]:
    mine = await read_teams(session, user)
    return [
        schemas.TeamRead(id=team.id, name=team.name, role=team.role, is_current=team == mine.current)
        for team in mine.teams
    ]


async def _read_team(session: AsyncSession, team_id: int, user: User) -> schemas.TeamRead:
    teams = await _read_own_teams(session, user)
    return require_found(next((team for team in teams if team.id == team_id), None))
