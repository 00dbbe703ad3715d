from opportune.feature import Feature, PersonalData
from opportune.mcp import pages
from opportune.mcp.oauth import (
    cleanup,
    events,  # noqa: F401 - what can happen to accounts
    routes,
)
from opportune.mcp.oauth import pages as oauth_pages
from opportune.mcp.oauth.hooks import end_tokens
from opportune.mcp.oauth.models import McpClient, McpGrant
from opportune.mcp.oauth.programs import profile_panel
from opportune.mcp.servers.lifespan import listed_servers
from opportune.mcp.settings import McpSettings

mcp = Feature(
    name="mcp",
    summary="The site's tools for the models of others, by the Model Context Protocol.",
    settings=McpSettings,
    models=(McpClient, McpGrant),
    pages=(pages.router, routes.router, oauth_pages.router),
    admin="opportune.mcp.admin",
    profile_panel=profile_panel,
    personal_data=PersonalData(summary="Programs that you have let in", owners=(McpGrant.user_id,)),
    jobs=(cleanup.delete_expired_daily,),
    hooks=(end_tokens,),
    lifespan=listed_servers,
)
