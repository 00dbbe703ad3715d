"""The user and the token of a message, which limit what it may use."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from opportune.accounts.models import ApiToken, User
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.mcp.server.offers import Offers, offers_of
from opportune.contrib.tools import Tool, ToolResult, toolbox_of
from opportune.contrib.tools.toolbox import Headers, Toolbox


@dataclass(frozen=True)
class Caller:
    toolbox: Toolbox
    offers: Offers
    user: User
    token: ApiToken
    session_id: str = ""
    """Id that the client got for its session; empty from clients without sessions."""
    headers: Headers = ()
    """Additional headers for tools, such as the team."""

    def allowed(self, toolbox: Toolbox) -> dict[str, Tool]:
        """Return the functions that the token's scopes allow."""
        return toolbox.allowed(self.token.scopes).tools

    def input_schema(self, name: str) -> Mapping[str, Any] | None:
        tool = self.toolbox.tools.get(name)
        return tool.schema.parameters if tool else None

    async def call(self, toolbox: Toolbox, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        if name in toolbox.tools and (missing := toolbox.missing_scopes(name, self.token.scopes)):
            return ToolResult(f"This token lacks the scope {' and '.join(missing)}.", is_error=True)
        call = ToolCall("mcp", name, json.dumps(arguments))
        return await toolbox.call(call, self.user, token=self.token, headers=self.headers)


def create_caller(request: Request, user: User, token: ApiToken, session_id: str) -> Caller:
    names = {name.lower().encode() for feature in request.app.state.features for name in feature.llm.tool_headers}
    headers = [(name, value) for name, value in request.headers.raw if name in names]
    return Caller(toolbox_of(request.app).immediate, offers_of(request.app), user, token, session_id, headers)
