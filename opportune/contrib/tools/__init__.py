"""Tools: functions of the site that a language model may call with the permissions of the user."""

from opportune.contrib.tools.conversation import ToolRun, converse
from opportune.contrib.tools.declaration import Tool, ask_user, tool
from opportune.contrib.tools.endpoint import ToolParts
from opportune.contrib.tools.openapi import api_tools
from opportune.contrib.tools.results import Source, ToolResult
from opportune.contrib.tools.site_tools import full_toolbox_of, toolbox_of
from opportune.contrib.tools.toolbox import Toolbox

__all__ = [
    "Source",
    "Tool",
    "ToolParts",
    "ToolResult",
    "ToolRun",
    "Toolbox",
    "api_tools",
    "ask_user",
    "converse",
    "full_toolbox_of",
    "tool",
    "toolbox_of",
]
