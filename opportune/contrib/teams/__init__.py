"""Teams: groups of users with roles and invitations, who share rows."""

from opportune.contrib.teams.dependencies import CurrentTeam, OptionalTeam, TeamAdmin, TeamOwner, team_role
from opportune.contrib.teams.models import Team, TeamMember, TeamOwned, TeamRole, TeamShared
from opportune.contrib.teams.user_teams import UserTeam

__all__ = [
    "CurrentTeam",
    "OptionalTeam",
    "Team",
    "TeamAdmin",
    "TeamMember",
    "TeamOwned",
    "TeamOwner",
    "TeamRole",
    "TeamShared",
    "UserTeam",
    "team_role",
]
