"""Errors of resources, prompts and completions, which have no result with an error as tools do."""

from mcp import MCPError, types

from opportune.contrib.tools.result import TOOL_FAILED, ToolResult


def require_success(result: ToolResult) -> None:
    """Raise MCPError with the message of a failed call."""
    if result.text == TOOL_FAILED and result.is_error:
        raise MCPError(types.INTERNAL_ERROR, "The request failed on the server.")
    if result.is_error:
        raise MCPError(types.INVALID_PARAMS, result.text)
