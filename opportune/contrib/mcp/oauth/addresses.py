"""Where things are: all of them at the site's public address, whatever name a request calls it by."""

from opportune.config.settings import Settings
from opportune.config.site_url import site_url

MCP_PATH = "/mcp"
RESOURCE_METADATA_PATH = f"/.well-known/oauth-protected-resource{MCP_PATH}"
SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server"
OAUTH_PATH = "/accounts/oauth"
"""Below /accounts: closed to a superuser who is signed in as somebody else."""


def address_of(settings: Settings, path: str) -> str:
    return f"{site_url(settings)}{path}"


def is_our_resource(settings: Settings, resource: str) -> bool:
    """Whether a token for this is one for `/mcp` here (RFC 8707)."""
    return resource.removesuffix("/") == address_of(settings, MCP_PATH)
