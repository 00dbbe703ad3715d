"""Pagination and sorting of lists."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Select, SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.schemas import Schema

T = TypeVar("T")

NEIGHBOURING_PAGES = 2
"""Pages on each side of the current one that have a link."""
TRACKING_PARAMETER = re.compile(
    r"(utm|mtm|pk|hsa)_\w+|mc_[ce]id|_hs(enc|mi)|_g[al]|(fb|g|dc|ms|tt|tw|y)clid|[gw]braid"
    r"|igshid|li_fat_id|mkt_tok|srsltid"
)
"""Parameters that newsletters, search engines and social networks append to links."""


class SortBy:
    """The allowed orders of a list: `sort: Annotated[str, SortBy("title", "due_on")] = ""`. `-title` is descending."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(["", *self.names, *(f"-{name}" for name in self.names)])


class Paging(Schema):
    """The query of a list, for pages and the API: `Annotated[Paging, Query()]`. Subclasses add filters and `sort`.

    An unknown parameter is an error: ignoring a misspelt filter would return too many rows.
    """

    model_config = ConfigDict(extra="forbid")

    page: int = Field(1, ge=1, le=1_000_000)
    size: int = Field(20, ge=1, le=100)
    sort: Annotated[str, SortBy()] = ""

    @model_validator(mode="before")
    @classmethod
    def _drop_ignored_parameters(cls, sent: Any) -> Any:
        """Remove filters that the user left empty, which browsers also send, and tracking parameters."""
        if not isinstance(sent, dict):
            return sent
        several = {name: [one for one in value if one != ""] for name, value in sent.items() if isinstance(value, list)}
        return {name: value for name, value in (sent | several).items() if not cls._is_ignored(name, value)}

    @classmethod
    def _is_ignored(cls, name: str, value: Any) -> bool:
        if name in cls.model_fields:
            return value in ("", [])
        return TRACKING_PARAMETER.fullmatch(name) is not None


class Page(Schema, Generic[T]):
    """One page of a list, with the number of rows and pages. A page past the end is empty."""

    items: Sequence[T]
    total: int
    page: int
    pages: int

    @property
    def numbers(self) -> list[int]:
        """The linked pages: the first, the last and those nearby. 0 marks a gap."""
        near = range(self.page - NEIGHBOURING_PAGES, self.page + NEIGHBOURING_PAGES + 1)
        offered = sorted({1, self.pages, *(number for number in near if 1 <= number <= self.pages)})
        numbers = [1]
        for number in offered[1:]:
            numbers += [number] if number == numbers[-1] + 1 else [0, number]
        return numbers


async def paginate(session: AsyncSession, query: Select[tuple[T]], paging: Paging) -> Page[Any]:
    """Return a page of an ordered query."""
    count = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    total = await session.scalar(count) or 0
    rows = await session.scalars(query.offset((paging.page - 1) * paging.size).limit(paging.size))
    return Page[Any](items=rows.all(), total=total, page=paging.page, pages=page_count(total, paging.size))


def count_rows(query: Select[Any], key: Any) -> Select[tuple[int]]:
    """Return the query that counts the rows of a query. It reads only the key, in any order."""
    rows = query.with_only_columns(key, maintain_column_froms=True).order_by(None)
    return select(func.count()).select_from(rows.subquery())


def page_count(total: int, size: int) -> int:
    """Return the number of pages, at least one."""
    return max(1, -(-total // size))


def order(
    sort: str, columns: Mapping[str, SQLColumnExpression[Any]], *then: SQLColumnExpression[Any]
) -> Sequence[SQLColumnExpression[Any]]:
    """Return the arguments of `order_by`: the column of `sort`, with NULL last, and then `then`."""
    column = columns.get(sort.removeprefix("-"))
    if column is None:
        return then
    ordered = column.desc() if sort.startswith("-") else column.asc()
    # SQLite and PostgreSQL sort NULL differently. Columns without NULL can use an index.
    return ordered.nulls_last() if getattr(column, "nullable", True) else ordered, *then
