"""The part of a feature that language models use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from opportune.errors.option_names import strict


@strict
@dataclass(frozen=True)
class Llm:
    """Tools and sources for language models."""

    _: KW_ONLY
    tools: Sequence[Any] = ()
    """Functions that a language model may call on behalf of the user (oppman.py docs tools)."""
    retrieval: Sequence[Any] = ()
    """Functions that return `Source`s for a question. They are called before a model that cannot call tools."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Functions that read data for MCP clients, by URI: `{"books://{book_id}": read_book}` (oppman.py docs mcp)."""
    prompts: Sequence[Any] = ()
    """Functions that write a prompt, which users of MCP clients select."""
    completions: Mapping[str, Any] = field(default_factory=dict)
    """Functions that suggest values for an argument of its resources and prompts, by its name."""
    tool_headers: Sequence[str] = ()
    """Headers that its dependencies read. The MCP server passes them on to tools."""
    guard: Callable[[Any, Any], Any] | None = None
    """Return the guard that counts and limits calls of language models, from settings and database. A site has one."""

    @property
    def functions(self) -> list[Any]:
        """All functions that a token may run."""
        return [*self.tools, *self.resources.values(), *self.prompts, *self.completions.values()]
