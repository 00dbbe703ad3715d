"""Whoever shows a token, and what they may do with it."""

from dataclasses import dataclass

from opportune.accounts.models import User
from opportune.accounts.tokens.scopes import has_scope
from opportune.llm.provider import ToolCall
from opportune.tools.tool import Tool
from opportune.tools.toolbox import Toolbox, ToolResult


@dataclass(frozen=True)
class Caller:
    toolbox: Toolbox
    user: User
    scopes: str
    """Of their token, with spaces."""

    @property
    def tools(self) -> list[Tool]:
        """Those that the token is good for; of others a program need not know."""
        return [each for name, each in self.toolbox.tools.items() if not self._missing(name)]

    async def call(self, call: ToolCall) -> ToolResult:
        if call.name in self.toolbox.tools and (missing := self._missing(call.name)):
            words = f"This token may not do this: it lacks the scope {' and '.join(missing)}."
            return ToolResult(words, is_error=True)
        return await self.toolbox.call(call, self.user)

    def _missing(self, name: str) -> list[str]:
        held = self.scopes.split()
        return [each for each in self.toolbox.needed_scopes(name) if not has_scope(held, each)]
