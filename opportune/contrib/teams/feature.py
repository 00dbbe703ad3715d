from sqlmodel import col

from opportune.contrib.teams import api, demo, pages
from opportune.contrib.teams.dependencies import TEAM_HEADER
from opportune.contrib.teams.invitations import is_invited
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember
from opportune.contrib.teams.personal_data import keep_active_owners, keep_owners, personal_data
from opportune.db import utc_now
from opportune.feature import Cleanup, Demo, Feature

teams = Feature(
    name="teams",
    summary="Teams with roles and invitations, and rows that belong to them.",
    models=(Team, TeamMember, TeamInvitation),
    pages=pages.router,
    api=api.router,
    tool_headers=(TEAM_HEADER,),
    admin="opportune.contrib.teams.admin",
    navigation_template="teams/navigation.html",
    is_invited=is_invited,
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
    cleanups=(Cleanup(TeamInvitation, lambda _: col(TeamInvitation.expires_at) <= utc_now()),),
    hooks=(keep_owners, keep_active_owners),
)
