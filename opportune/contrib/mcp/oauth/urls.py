"""Public addresses of the OAuth endpoints, independent of the host of a request."""

from opportune.config.settings import Settings, site_url

MCP_PATH = "/mcp"
RESOURCE_METADATA_PATH = f"/.well-known/oauth-protected-resource{MCP_PATH}"
SERVER_METADATA_PATH = "/.well-known/oauth-authorization-server"
OAUTH_PATH = "/accounts/oauth"
"""Below /accounts, which is closed to superusers who impersonate a user."""


def build_url(settings: Settings, path: str) -> str:
    return f"{site_url(settings)}{path}"


def is_mcp_resource(settings: Settings, resource: str) -> bool:
    """Return True if a resource indicator (RFC 8707) means this site's `/mcp`."""
    return resource.removesuffix("/") == build_url(settings, MCP_PATH)
