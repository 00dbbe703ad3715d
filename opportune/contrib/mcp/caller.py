"""Whoever shows a token, and what they may do with it."""

from dataclasses import dataclass

from opportune.accounts.models import ApiToken, User
from opportune.llm.providers.provider import ToolCall
from opportune.llm.tools.tool import Tool
from opportune.llm.tools.toolbox import Headers, Toolbox, ToolResult


@dataclass(frozen=True)
class Caller:
    toolbox: Toolbox
    user: User
    token: ApiToken
    headers: Headers = ()
    """What the program says besides, such as which team it means."""

    @property
    def tools(self) -> list[Tool]:
        """Those that the token is good for; of others a program need not know."""
        return list(self.toolbox.allowed(self.token.scopes).tools.values())

    async def call(self, call: ToolCall) -> ToolResult:
        if call.name in self.toolbox.tools and (missing := self.toolbox.missing_scopes(call.name, self.token.scopes)):
            words = f"This token may not do this: it lacks the scope {' and '.join(missing)}."
            return ToolResult(words, is_error=True)
        return await self.toolbox.call(call, self.user, token=self.token, headers=self.headers)
