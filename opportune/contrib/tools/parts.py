"""Parts of a tool, such as collections of documents. An answer can limit it: `tools=["search_knowledge:3"]`."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User

FindParts = Callable[[AsyncSession, User | None], Awaitable[Mapping[str, str]]]
"""Return labels of the parts that a user may select, by name."""


def parts_of(name: str, selected: Collection[str]) -> Sequence[str] | None:
    """Return the selected parts of a tool. None if it is not limited."""
    prefix = f"{name}:"
    return [part.removeprefix(prefix) for part in selected if part.startswith(prefix)] or None


async def read_parts(request: Request) -> Sequence[str] | None:
    parts: Sequence[str] | None = request.state.tool_parts
    return parts


ToolParts = Annotated[Sequence[str] | None, Depends(read_parts)]
"""The parts to which the answer limits a tool. None for all."""
