"""Tools: functions of the site that a language model may call with the permissions of the user."""

from opportune.llm.tools.conversation import ToolRun, converse
from opportune.llm.tools.declaration import Tool, tool
from opportune.llm.tools.openapi import api_tools
from opportune.llm.tools.source import Source
from opportune.llm.tools.toolbox import Toolbox, ToolResult, full_toolbox_of, toolbox_of

__all__ = [
    "Source",
    "Tool",
    "ToolResult",
    "ToolRun",
    "Toolbox",
    "api_tools",
    "converse",
    "full_toolbox_of",
    "tool",
    "toolbox_of",
]
