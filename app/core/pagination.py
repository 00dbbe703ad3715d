"""Long lists, a page at a time."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field
from sqlalchemy import Select, func
from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")


class Paging(BaseModel):
    """The query of a list: `Annotated[Paging, Query()]`. Lists with filters extend it."""

    page: int = Field(1, ge=1, le=1_000_000)
    size: int = Field(20, ge=1, le=100)


class Page(BaseModel, Generic[T]):
    """One page, and how many there are of what. A page past the end is empty."""

    items: Sequence[T]
    total: int
    page: int
    pages: int


async def paginate(session: AsyncSession, query: Select[tuple[T]], paging: Paging) -> Page[Any]:
    """The rows of an ordered query that belong on this page."""
    count = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    total = await session.scalar(count) or 0
    rows = await session.scalars(query.offset((paging.page - 1) * paging.size).limit(paging.size))
    return Page[Any](items=rows.all(), total=total, page=paging.page, pages=max(1, -(-total // paging.size)))
