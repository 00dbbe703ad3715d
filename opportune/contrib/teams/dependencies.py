"""Dependencies for a route's team: `CurrentTeam`, `OptionalTeam`, `TeamAdmin`, `TeamOwner`."""

from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import Depends, Header, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.dependencies import get_current_user, get_optional_user
from opportune.accounts.sign_in_redirects import find_return_path, make_redirect_error
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.user_teams import UserTeam, UserTeams, read_current_team, read_teams
from opportune.crud.registry import TeamOwners, team_owners
from opportune.db.sessions.dependencies import on_site
from opportune.errors import require_found
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.project.optional_features import require_feature
from opportune.web.errors.problem import wants_json
from opportune.web.forms.hidden_fields import TEAM_KEY, submitted_team
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.redirects import safe_redirect_path, with_next
from opportune.web.routing.root_path import path_below_root

TEAM_HEADER = "X-Team"
PERSONAL = "personal"
"""Value of the header for rows of the user instead of a team."""
NEW_TEAM_PATH, TEAMS_PATH = "/teams/new", "/teams"
OTHER_TEAM = _l("You are in “%(team)s” now. This form was opened in another team, so nothing was saved.")
NO_TEAM = _l("You are not in a team yet.")
NO_TEAM_SELECTED = f"Select a team, or send its id in the header {TEAM_HEADER}."
HEADER_DESCRIPTION = f"Id of the team. Optional for users with one team. `{PERSONAL}` means rows without a team."
TEAM_HEADER_NEEDED = f"You are in several teams: send the id of one in the header {TEAM_HEADER}."


async def get_user_teams(request: Request) -> UserTeams:
    """Return the user's teams. They are read once per request and stored in `request.state.teams`."""
    if not hasattr(request.state, "teams"):
        site = on_site(request).app
        require_feature("teams", site.state.features)
        user = await get_optional_user(request)
        request.state.teams = UserTeams()
        if user:
            async with site.state.database.reader(fresh=True) as session:
                request.state.teams = await read_teams(session, user)
            setattr(request.state, TEAM_KEY, _key_of(request.state.teams.current))
    return cast("UserTeams", request.state.teams)


async def get_optional_team(request: Request) -> UserTeam | None:
    """Return the user's current team, or None for anonymous users, users without a team and personal rows.

    In the browser this is the team they last switched to. API clients send its id in the header `X-Team`, which is
    optional for users with a single team, or `personal`. Switching in the browser does not affect API clients.

    Raises:
        HTTPException: 404 for a team of other users, 400 for an API client that must send the header, and a redirect
            for a form that was opened in another team.
    """
    user_teams = await get_user_teams(request)
    if path_below_root(request.scope).startswith("/api/") or request.state.token:
        if (team_id := request.headers.get(TEAM_HEADER)) is not None:
            return None if team_id == PERSONAL else _find_team(user_teams, team_id)
        if request.state.token and len(user_teams.teams) > 1:
            raise HTTPException(400, TEAM_HEADER_NEEDED)
        if request.state.token:
            return next(iter(user_teams.teams), None)
    _require_same_team(request, user_teams.current)
    return user_teams.current


def _require_same_team(request: Request, team: UserTeam | None) -> None:
    """Refuse a form that was rendered in another team. Its page shows the text again.

    Raises:
        HTTPException: The form is of another team.
    """
    form_team = "" if request.method in SAFE_METHODS else submitted_team(request)
    if form_team and form_team != _key_of(team):
        notice = gettext(OTHER_TEAM, team=team.name if team else gettext("Personal"))
        page = safe_redirect_path(find_return_path(request))
        raise make_redirect_error(request, page, HTTPException(409, notice), has_form=True, notice=notice)


def _key_of(team: UserTeam | None) -> str:
    return str(team.id) if team else PERSONAL


def _find_team(user_teams: UserTeams, team_id: str) -> UserTeam:
    team = next((team for team in user_teams.teams if str(team.id) == team_id), None)
    if team is None:
        raise HTTPException(404)
    return team


async def get_current_team(request: Request) -> UserTeam:
    """Return the user's current team. Others are redirected to sign in, or to select or create a team."""
    await get_current_user(request)
    team = await get_optional_team(request)
    if team is not None:
        return team
    has_teams = bool(request.state.teams.teams)
    if wants_json(request):
        raise HTTPException(403, NO_TEAM_SELECTED if has_teams else NO_TEAM)
    url = with_next(TEAMS_PATH if has_teams else NEW_TEAM_PATH, find_return_path(request))
    raise make_redirect_error(request, url, HTTPException(403, NO_TEAM))


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
    team = await get_current_team(request) if required else await get_optional_team(request)
    if team is None or not writes:
        return team
    member = select(col(TeamMember.role)).where(col(TeamMember.id) == team.member_id).with_for_update(read=True)
    return replace(team, role=require_found(await session.scalar(member)))


team_owners[Team] = TeamOwners(find_team, read_current_team, tuple(TeamRole), describe_header)
