from fastapi import FastAPI

from opportune.contrib.mcp import pages
from opportune.contrib.mcp.oauth import models, routes
from opportune.contrib.mcp.oauth import pages as oauth_pages
from opportune.contrib.mcp.server.message import cancellations
from opportune.contrib.mcp.server.offers import offers_of
from opportune.contrib.mcp.servers.lifespan import listed_servers
from opportune.contrib.mcp.settings import McpSettings
from opportune.feature import Accounts, Admin, Feature, Jobs, PersonalData, Process, Site


def _init_app(app: FastAPI) -> None:
    """Report mistakes in resources and prompts at the start, in development."""
    if app.state.settings.environment == "development":
        offers_of(app).require_valid()


mcp = Feature(
    "mcp",
    "Tools, resources and prompts of the site, and tools of other servers, by the Model Context Protocol.",
    settings=McpSettings,
    models=(models.McpClient, models.McpGrant),
    pages=(pages.router, routes.router, oauth_pages.router),
    admin=Admin("opportune.contrib.mcp.admin"),
    accounts=Accounts(
        events=oauth_pages.EVENTS,
        profile_panel=oauth_pages.profile_panel,
        personal_data=PersonalData(summary="Programs that may use your account", owners=(models.McpGrant.user_id,)),
    ),
    jobs=Jobs(cleanups=models.CLEANUPS),
    hooks=(models.delete_tokens_of_program,),
    site=Site(init_app=_init_app),
    process=Process(context=cancellations, lifespan=listed_servers),
)
