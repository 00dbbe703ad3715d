"""Caller of a tool: a user with a token and its scopes."""

from dataclasses import dataclass

from opportune.accounts.models import ApiToken, User
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.tools.declaration import Tool
from opportune.contrib.tools.toolbox import Headers, Toolbox, ToolResult


@dataclass(frozen=True)
class Caller:
    toolbox: Toolbox
    user: User
    token: ApiToken
    headers: Headers = ()
    """Additional headers for tools, such as the team."""

    @property
    def tools(self) -> list[Tool]:
        """Tools allowed by the token's scopes."""
        return list(self.toolbox.allowed(self.token.scopes).tools.values())

    async def call(self, call: ToolCall) -> ToolResult:
        if call.name in self.toolbox.tools and (missing := self.toolbox.missing_scopes(call.name, self.token.scopes)):
            return ToolResult(f"This token lacks the scope {' and '.join(missing)}.", is_error=True)
        return await self.toolbox.call(call, self.user, token=self.token, headers=self.headers)
