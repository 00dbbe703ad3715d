"""Permissions for rows of a user, a team or the site."""

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.contrib.assistants.models import Audience
from opportune.crud import Crud, Permission
from opportune.crud.teams import Team, TeamOwners, team_owners
from opportune.db import utc_now
from opportune.errors import FieldErrors
from opportune.i18n import gettext

M = TypeVar("M", bound=Any)


class SharedRows(Crud[M]):
    """Rows that the user may use: their own, those of the current team, and those of the site.

    Members change all rows of their team. Rows of the site need the permission of a group.
    """

    owner_column = "owner_id"
    read_permission = Permission.SIGNED_IN
    write_permission = Permission.OWNER_OR_PERMITTED

    @classmethod
    def team_owners(cls) -> TeamOwners | None:
        owners = next(iter(team_owners.values()), None)
        return owners and owners._replace(find=_find_team)

    def readable(self) -> ColumnElement[bool]:
        return or_(self._is_owned(), col(self.model.shared_with) == Audience.SITE)

    def writable(self) -> ColumnElement[bool]:
        return self.writable_by("update")

    def writable_by(self, action: str) -> ColumnElement[bool]:
        return self.readable() if self.row_permissions.has_permission(action) else self._is_owned()

    def _is_owned(self) -> ColumnElement[bool]:
        """Return the condition for rows of the user or the current team."""
        is_owned: list[ColumnElement[bool]] = [false()]
        if self.user:
            is_owned.append(col(self.model.owner_id) == self.user.id)
        if self.team:
            is_owned.append(and_(col(self.model.team_id) == self.team.id, has_team(self.model)))
        return or_(*is_owned)

    @property
    def audiences(self) -> list[Audience]:
        """The users with whom the user may share a row."""
        may_publish = self.row_permissions.has_permission("update")
        return [Audience.ME, *([Audience.TEAM] if self.team else []), *([Audience.SITE] if may_publish else [])]

    async def assign(self, row: M, values: dict[str, Any]) -> None:
        audience = Audience(values.get("shared_with", row.shared_with))
        if audience != row.shared_with:
            if audience not in self.audiences:
                raise FieldErrors({"shared_with": gettext("You may not share it with these users.")})
            owner = self.user if audience is Audience.ME else None
            row.owner_id = owner.id if owner else None
            row.team_id = self.team.id if self.team and audience is Audience.TEAM else None
            row.shared_at = utc_now()
        await super().assign(row, values)


def has_team(model: type[Any]) -> ColumnElement[bool]:
    """Return the condition for rows whose team exists. SQLite may give the id of a deleted team to a new one."""
    team: Any = next(iter(team_owners), None)
    if team is None:
        return false()
    is_team = and_(team.id == col(model.team_id), team.created_at <= col(model.shared_at))
    return select(team.id).where(is_team).exists()


def of_deleted_team(model: type[Any]) -> ColumnElement[bool]:
    return and_(col(model.team_id).is_not(None), ~has_team(model)) if team_owners else false()


async def _find_team(request: Request, session: AsyncSession, required: bool, writes: bool) -> Team | None:
    if all(feature.name != "teams" for feature in request.app.state.features):
        return None
    owners = next(iter(team_owners.values()))
    return await owners.find(request, session, required, writes)
