from sqlmodel import col

from opportune.contrib.teams import api, demo, pages
from opportune.contrib.teams.dependencies import TEAM_HEADER
from opportune.contrib.teams.invitations import is_invited
from opportune.contrib.teams.models import Team, TeamInvitation, TeamMember
from opportune.contrib.teams.personal_data import keep_active_owners, keep_owners, personal_data
from opportune.contrib.teams.service import EVENTS
from opportune.db import utc_now
from opportune.feature import Accounts, Admin, Cleanup, Data, Demo, Feature, Jobs, Llm, Site

teams = Feature(
    "teams",
    "Teams with roles and invitations, and rows that belong to them.",
    models=(Team, TeamMember, TeamInvitation),
    pages=pages.router,
    api=api.router,
    llm=Llm(tool_headers=(TEAM_HEADER,)),
    admin=Admin("opportune.contrib.teams.admin"),
    site=Site(navigation_template="teams/navigation.html"),
    accounts=Accounts(events=EVENTS, is_invited=is_invited, personal_data=personal_data),
    data=Data(demo=Demo(demo.load, demo.clear)),
    jobs=Jobs(cleanups=(Cleanup(TeamInvitation, lambda _: col(TeamInvitation.expires_at) <= utc_now()),)),
    hooks=(keep_owners, keep_active_owners),
)
