"""Teams that own assistants and prompts. They are an optional feature, so their model is not imported here."""

from typing import Any

from sqlalchemy import ColumnElement, and_, false, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.crud.registry import Team, TeamOwners, team_owners


def optional_team_owners() -> TeamOwners | None:
    """Return the teams of the site; None if their feature is not imported."""
    team = _team_model()
    return team_owners[team]._replace(find=_find_team, describe=_describe_nothing) if team else None


def _team_model() -> Any:
    """Return the model of teams; None if their feature is not imported."""
    return next(iter(team_owners), None)


def has_team(model: type[Any]) -> ColumnElement[bool]:
    """Return the condition for rows whose team exists. SQLite may give the id of a deleted team to a new one."""
    team = _team_model()
    if team is None:
        return false()
    is_team = and_(team.id == col(model.team_id), team.created_at <= col(model.shared_at))
    return select(team.id).where(is_team).exists()


def of_deleted_team(model: type[Any]) -> ColumnElement[bool]:
    return and_(col(model.team_id).is_not(None), ~has_team(model)) if _team_model() else false()


async def _describe_nothing() -> None:
    """Leave the header of the team out of OpenAPI, because the routes also exist without teams."""


async def _find_team(request: Request, session: AsyncSession, required: bool, writes: bool) -> Team | None:
    """Find the current team. None if teams are imported, but not installed."""
    if all(feature.name != "teams" for feature in request.app.state.features):
        return None
    return await team_owners[_team_model()].find(request, session, required, writes)
