"""The team in a route's signature: `CurrentTeam`, `OptionalTeam`, `TeamAdmin`, `TeamOwner`."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.dependencies import get_current_user, get_optional_user
from opportune.contrib.teams.models import Team, TeamMember, TeamRole
from opportune.contrib.teams.service import UserTeam, UserTeams, read_teams
from opportune.crud.teams import TeamOwners, team_owners
from opportune.errors import NotFound
from opportune.web.errors.handlers import wants_json
from opportune.web.rendering.templates import is_htmx
from opportune.web.routing.direct_route import of_request

TEAM_HEADER = "X-Team"
NEW_TEAM_PATH = "/teams/new"
NO_TEAM = "You are in no team yet."
NAME_THE_TEAM = f"You are in several teams: say which one in the header {TEAM_HEADER}, by its number."


@of_request
async def get_user_teams(request: Request) -> UserTeams:
    """The teams of whoever sends this request, read once for it; also at `request.state.teams`."""
    if not hasattr(request.state, "teams"):
        user = await get_optional_user(request)
        request.state.teams = UserTeams()
        if user:
            async with request.app.state.database.reader(fresh=True) as session:
                request.state.teams = await read_teams(session, user)
    teams: UserTeams = request.state.teams
    return teams


async def get_optional_team(request: Request) -> UserTeam | None:
    """The team that whoever sends this request is in; None for strangers and for people without one.

    Pages know the one that they last switched to. Programs name it by its number in the header `X-Team`, which they
    may leave out where there is but one: what their owner does in a browser changes nothing for them.

    Raises:
        HTTPException: 404 for a team that is not theirs, 400 for a program that has to say which.
    """
    found = await get_user_teams(request)
    if request.scope["path"].startswith("/api/") or request.state.token:
        if (named := request.headers.get(TEAM_HEADER)) is not None:
            return _named(found, named)
        if request.state.token and len(found.teams) > 1:
            raise HTTPException(400, NAME_THE_TEAM)
    return found.teams[0] if found.teams else None


def _named(found: UserTeams, number: str) -> UserTeam:
    team = found.find(int(number)) if number.isascii() and number.isdigit() and len(number) < 20 else None
    if team is None:
        raise HTTPException(404)
    return team


async def get_current_team(request: Request) -> UserTeam:
    """The team that whoever sends this request is in. Strangers sign in first, and who has no team makes one."""
    await get_current_user(request)
    return await get_optional_team(request) or _refuse(request)


def _refuse(request: Request) -> Any:
    if wants_json(request):
        raise HTTPException(403, NO_TEAM)
    path = f"{request.url.path}?{request.url.query}" if request.method == "GET" and not is_htmx(request) else "/"
    address = f"{NEW_TEAM_PATH}?next={quote(path)}"
    if is_htmx(request):  # which would put that page into a part of this one
        raise HTTPException(403, headers={"HX-Redirect": address})
    raise HTTPException(303, headers={"Location": address})


def team_role(role: TeamRole) -> Any:
    """A route's need in its signature: `team: Annotated[UserTeam, team_role(TeamRole.ADMIN)]`. Others get 403."""

    async def permitted(request: Request) -> UserTeam:
        team = await get_current_team(request)
        if not team.has_role(role):
            raise HTTPException(403)
        return team

    return Depends(permitted)


CurrentTeam = Annotated[UserTeam, Depends(get_current_team)]
OptionalTeam = Annotated[UserTeam | None, Depends(get_optional_team)]
TeamAdmin = Annotated[UserTeam, team_role(TeamRole.ADMIN)]
TeamOwner = Annotated[UserTeam, team_role(TeamRole.OWNER)]


async def describe_header(
    _team: Annotated[
        str | None, Header(alias=TEAM_HEADER, description="The number of the team; not needed by who has one")
    ] = None,
) -> None:
    """Tell the API's description of the header, which `get_optional_team` reads."""


async def find_team(request: Request, session: AsyncSession, required: bool, writes: bool) -> UserTeam | None:
    """The team of a request for the data layer. Where something is written, nobody changes the role meanwhile."""
    team = await (get_current_team if required else get_optional_team)(request)
    if team is None or not writes:
        return team
    member = select(col(TeamMember.role)).where(col(TeamMember.id) == team.member_id).with_for_update(read=True)
    if (role := await session.scalar(member)) is None:
        raise NotFound
    return replace(team, role=role)


team_owners[Team] = TeamOwners(find_team, tuple(TeamRole), describe_header)
