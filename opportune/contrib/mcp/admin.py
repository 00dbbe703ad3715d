from opportune.admin import AdminView
from opportune.contrib.mcp.oauth.models import McpClient


class McpClientAdmin(AdminView, model=McpClient):
    """Read-only list with deletion. Programs register themselves; deleting one also deletes its tokens."""

    name, plural = "MCP program", "MCP programs"
    columns = ("id", "name", "redirect_uris", "created_at", "used_at")
    column_labels = {"redirect_uris": "Redirect addresses", "used_at": "Last used"}
    search = ("name",)
    can_create = can_edit = False
    icon, category = "ti ti-plug-connected", "Accounts"
