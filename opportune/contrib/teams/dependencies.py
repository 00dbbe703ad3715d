"""Dependencies for a route's team: `CurrentTeam`, `OptionalTeam`, `TeamAdmin`, `TeamOwner`."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.dependencies import get_current_user, get_optional_user
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.service import UserTeam, UserTeams, read_current_team, read_teams
from opportune.crud.teams import TeamOwners, team_owners
from opportune.errors import NotFound
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.handlers import wants_json
from opportune.web.rendering.templates import is_htmx
from opportune.web.routing.direct_route import takes_only_request

TEAM_HEADER = "X-Team"
PERSONAL = "personal"
"""Value of the header for rows of the user instead of a team."""
NEW_TEAM_PATH, TEAMS_PATH = "/teams/new", "/teams"
NO_TEAM = _l("You are not in a team yet.")
NO_TEAM_SELECTED = f"Select a team, or send its id in the header {TEAM_HEADER}."
HEADER_DESCRIPTION = f"Id of the team. Optional for users with one team. `{PERSONAL}` means rows without a team."
TEAM_HEADER_NEEDED = f"You are in several teams: send the id of one in the header {TEAM_HEADER}."


@takes_only_request
async def get_user_teams(request: Request) -> UserTeams:
    """Return the user's teams. They are read once per request and stored in `request.state.teams`."""
    if not hasattr(request.state, "teams"):
        user = await get_optional_user(request)
        request.state.teams = UserTeams()
        if user:
            async with request.app.state.database.reader(fresh=True) as session:
                request.state.teams = await read_teams(session, user)
    teams: UserTeams = request.state.teams
    return teams


async def get_optional_team(request: Request) -> UserTeam | None:
    """Return the user's current team, or None for anonymous users, users without a team and personal rows.

    In the browser this is the team they last switched to. API clients send its id in the header `X-Team`, which is
    optional for users with a single team, or `personal`. Switching in the browser does not affect API clients.

    Raises:
        HTTPException: 404 for a team of other users, 400 for an API client that must send the header.
    """
    user_teams = await get_user_teams(request)
    if request.scope["path"].startswith("/api/") or request.state.token:
        if (team_id := request.headers.get(TEAM_HEADER)) is not None:
            return None if team_id == PERSONAL else _find_team(user_teams, team_id)
        if request.state.token:
            return _only_team(user_teams)
    return user_teams.current


def _only_team(user_teams: UserTeams) -> UserTeam | None:
    if len(user_teams.teams) > 1:
        raise HTTPException(400, TEAM_HEADER_NEEDED)
    return next(iter(user_teams.teams), None)


def _find_team(user_teams: UserTeams, team_id: str) -> UserTeam:
    team = user_teams.find(int(team_id)) if team_id.isascii() and team_id.isdigit() and len(team_id) < 20 else None
    if team is None:
        raise HTTPException(404)
    return team


async def get_current_team(request: Request) -> UserTeam:
    """Return the user's current team. Others are redirected to sign in, or to select or create a team."""
    await get_current_user(request)
    return await get_optional_team(request) or _refuse_without_team(request)


def _refuse_without_team(request: Request) -> Any:
    has_teams = bool(request.state.teams.teams)
    if wants_json(request):
        raise HTTPException(403, NO_TEAM_SELECTED if has_teams else NO_TEAM)
    query = f"?{request.url.query}" if request.url.query else ""
    path = f"{request.url.path}{query}" if request.method == "GET" and not is_htmx(request) else "/"
    address = f"{TEAMS_PATH if has_teams else NEW_TEAM_PATH}?next={quote(path)}"
    if is_htmx(request):  # a normal redirect would load the page into a part of this one
        raise HTTPException(403, headers={"HX-Redirect": address})
    raise HTTPException(303, headers={"Location": address})


def team_role(role: TeamRole) -> Any:
    """Return a dependency on the current team with at least this role. Other members get 403.

    Example:
        team: Annotated[UserTeam, team_role(TeamRole.ADMIN)]
    """

    async def get_permitted_team(request: Request) -> UserTeam:
        team = await get_current_team(request)
        if not team.has_role(role):
            raise HTTPException(403)
        return team

    return Depends(get_permitted_team)


CurrentTeam = Annotated[UserTeam, Depends(get_current_team)]
OptionalTeam = Annotated[UserTeam | None, Depends(get_optional_team)]
TeamAdmin = Annotated[UserTeam, team_role(TeamRole.ADMIN)]
TeamOwner = Annotated[UserTeam, team_role(TeamRole.OWNER)]


async def describe_header(
    _team: Annotated[str | None, Header(alias=TEAM_HEADER, description=HEADER_DESCRIPTION)] = None,
) -> None:
    """Document the header in OpenAPI. `get_optional_team` reads it."""


async def find_team(request: Request, session: AsyncSession, required: bool, writes: bool) -> UserTeam | None:
    """Return the team of a request for CRUD. Writes lock the membership, so that its role cannot change."""
    team = await (get_current_team if required else get_optional_team)(request)
    if team is None or not writes:
        return team
    member = select(col(TeamMember.role)).where(col(TeamMember.id) == team.member_id).with_for_update(read=True)
    if (role := await session.scalar(member)) is None:
        raise NotFound
    return replace(team, role=role)


team_owners[Team] = TeamOwners(find_team, read_current_team, tuple(TeamRole), describe_header)
