from opportune.admin import AdminView
from opportune.teams.models import Team, TeamInvitation, TeamMember

CATEGORY = "Teams"


class TeamAdmin(AdminView, model=Team):
    column_list = ("id", "name", "created_at")
    column_searchable_list = ("name",)
    icon, category = "ti ti-users-group", CATEGORY


class TeamMemberAdmin(AdminView, model=TeamMember):
    name, name_plural = "Member of a team", "Members of teams"
    column_list = ("id", "team_id", "user_id", "role", "joined_at")
    column_filters = ("team_id", "user_id", "role")
    icon, category = "ti ti-users", CATEGORY


class TeamInvitationAdmin(AdminView, model=TeamInvitation):
    """To look at and to withdraw: only who is in a team invites, by an e-mail."""

    name, name_plural = "Invitation to a team", "Invitations to teams"
    column_list = ("id", "team_id", "email", "role", "expires_at")
    column_searchable_list = ("email",)
    can_create = can_edit = False
    icon, category = "ti ti-mail", CATEGORY
