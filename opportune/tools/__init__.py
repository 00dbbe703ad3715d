"""Functions of the site that a language model may have called, as the person who asks it."""

from opportune.tools.api_tools import api_tools
from opportune.tools.conversation import ToolRun, converse
from opportune.tools.source import Source
from opportune.tools.tool import Tool, tool
from opportune.tools.toolbox import Toolbox, ToolResult, full_toolbox_of, toolbox_of

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
