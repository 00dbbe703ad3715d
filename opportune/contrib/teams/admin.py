"""Admin views of teams, members and invitations."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin import AdminView
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember, TeamRole
from opportune.contrib.teams.owners import require_other_owner
from opportune.contrib.teams.service import lock_team_row
from opportune.db import changes

CATEGORY = "Teams"


class TeamAdmin(AdminView, model=Team):
    columns = ("id", "name", "created_at")
    search = ("name",)
    icon, category = "ti ti-users-group", CATEGORY


class TeamMemberAdmin(AdminView, model=TeamMember):
    name, plural = "Member of a team", "Members of teams"
    columns = ("id", "team_id", "user_id", "role", "joined_at")
    filters = ("team_id", "user_id", "role")
    icon, category = "ti ti-users", CATEGORY

    async def before_save(self, session: AsyncSession, row: TeamMember, request: Request, *, is_created: bool) -> None:
        await super().before_save(session, row, request, is_created=is_created)
        before = {name: change.before for name, change in changes(row).items()}
        if not is_created and before.keys() & {"role", "team_id", "user_id"}:
            await self._keep_owner(session, row, **before)

    async def before_delete(self, session: AsyncSession, row: TeamMember, request: Request) -> None:
        await super().before_delete(session, row, request)
        await self._keep_owner(session, row)

    @staticmethod
    async def _keep_owner(session: AsyncSession, row: TeamMember, **before: Any) -> None:
        """Refuse to remove the last active owner of a team. `before`: values before a change."""
        if before.get("role", row.role) != TeamRole.OWNER:
            return
        team_id = before.get("team_id", row.team_id)
        await lock_team_row(session, team_id)
        await require_other_owner(session, team_id, row.id)


class TeamInvitationAdmin(AdminView, model=TeamInvitation):
    """Read-only list with deletion. Only members create invitations, because these send an e-mail."""

    name, plural = "Invitation to a team", "Invitations to teams"
    columns = ("id", "team_id", "email", "role", "expires_at")
    search = ("email",)
    can_create = can_edit = False
    icon, category = "ti ti-mail", CATEGORY
