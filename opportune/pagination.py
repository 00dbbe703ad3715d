"""Pagination and sorting of lists."""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, TypeVar, get_origin

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Select, SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.schemas import Schema

T = TypeVar("T")

MAX_PAGE = 1_000_000
NEIGHBOURING_PAGES = 2
"""Linked pages on each side of the current page."""
MAX_NUMBERED_PAGES = 100
"""Pages of a large list that have a number."""
TRACKING_PARAMETER = re.compile(
    r"(utm|mtm|pk|hsa)_\w+|mc_[ce]id|_hs(enc|mi)|_g[al]|(fb|g|dc|ms|tt|tw|y)clid|[gw]braid"
    r"|igshid|li_fat_id|mkt_tok|srsltid"
)
"""Parameters that newsletters, search engines and social networks add to links."""


class SortBy:
    """Allowed sort orders of a list. A leading minus sign, `-title`, means descending.

        sort: Annotated[str, SortBy("title", "due_on")] = ""

    Args:
        names: Names of the sortable fields.
    """

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(["", *self.names, *(f"-{name}" for name in self.names)])


class Paging(Schema):
    """Query parameters of a list: `paging: Annotated[Paging, Query()]`. Subclasses add filters and `sort`.

    Unknown parameters are refused with 422, because ignoring a misspelt filter would return too many rows.

    Attributes:
        page: Number of the page, from 1.
        size: Rows per page, at most 100.
        sort: Name of the field to sort by.
    """

    model_config = ConfigDict(extra="forbid")
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of parameters, such as `category_id` of `category`."""

    page: int = Field(1, ge=1, le=MAX_PAGE)
    size: int = Field(20, ge=1, le=100)
    sort: Annotated[str, SortBy()] = ""

    @model_validator(mode="before")
    @classmethod
    def _drop_ignored_parameters(cls, data: Any) -> Any:
        """Remove filters that the user left empty, which browsers also send, and tracking parameters."""
        if not isinstance(data, dict):
            return data
        parameters = {}
        for parameter, value in data.items():
            name = cls.aliases.get(parameter, parameter)
            if name in data:
                name = parameter  # a filter under both names is refused
            filled = cls._without_empty_texts(name, value)
            is_empty_filter = name in cls.model_fields and filled in ("", [])
            is_tracking = name not in cls.model_fields and TRACKING_PARAMETER.fullmatch(name)
            if not (is_empty_filter or is_tracking):
                parameters[name] = filled
        return parameters

    @classmethod
    def _without_empty_texts(cls, name: str, value: Any) -> Any:
        """Return the value of a parameter, as a list if its field is one."""
        takes_list = name in cls.model_fields and get_origin(cls.model_fields[name].annotation) is list
        if takes_list and not isinstance(value, list):
            value = [value]
        if isinstance(value, list):
            return [item for item in value if item != ""]
        return value


class Page(Schema, Generic[T]):
    """One page of a list. A page past the end is empty.

    Attributes:
        items: Rows of this page.
        total: Rows of all pages.
        page: Number of this page, from 1.
        pages: Number of pages, at least 1.
        is_estimate: Whether `total` and `pages` are estimates. Left out of small lists.
        next_cursor: Value of `cursor` for the next page of a large list. Left out if there is none.
        previous_cursor: Value of `cursor` for the page before. Left out of pages with a number.
    """

    items: Sequence[T]
    total: int
    page: int
    pages: int
    is_estimate: bool = Field(default=False, exclude_if=operator.not_)
    next_cursor: str = Field(default="", exclude_if=operator.not_)
    previous_cursor: str = Field(default="", exclude_if=operator.not_)

    @property
    def has_next_number(self) -> bool:
        """Whether the next page of a large list has a number."""
        return not self.previous_cursor and self.page < MAX_NUMBERED_PAGES

    @property
    def numbers(self) -> list[int]:
        """Numbers of the linked pages: the first, the last and nearby pages. 0 marks a gap."""
        near = range(self.page - NEIGHBOURING_PAGES, self.page + NEIGHBOURING_PAGES + 1)
        last = min(self.pages, MAX_NUMBERED_PAGES) if self.next_cursor else self.pages
        linked = sorted({1, last, *(number for number in near if 1 <= number <= last)})
        numbers = [1]
        for number in linked[1:]:
            numbers += [number] if number == numbers[-1] + 1 else [0, number]
        return numbers


async def paginate(session: AsyncSession, query: Select[T], paging: Paging) -> Page[Any]:
    """Run a query and return one page of it.

    Args:
        session: A session that may read the rows.
        query: A query with `order_by`.
        paging: The requested page and its size.
    """
    total = await session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    rows = await session.scalars(query.offset((paging.page - 1) * paging.size).limit(paging.size))
    return Page[Any](items=rows.all(), total=total, page=paging.page, pages=page_count(total, paging.size))


def count_rows(query: Select[Any], key: Any) -> Select[int]:
    return select(func.count()).select_from(select_key(query, key).subquery())


def select_key(query: Select[Any], key: Any) -> Select[Any]:
    """Return the query with only the key, unordered, for counting."""
    return query.with_only_columns(key, maintain_column_froms=True).order_by(None)


def page_count(total: int, size: int) -> int:
    """Return the number of pages, at least one.

    Args:
        total: Number of rows.
        size: Rows on a page.
    """
    return max(1, -(-total // size))


def order(
    sort: str, columns: Mapping[str, SQLColumnExpression[Any]], *default_order: SQLColumnExpression[Any]
) -> Sequence[SQLColumnExpression[Any]]:
    """Return the arguments of `order_by`.

    Args:
        sort: Name of a column, with `-` for descending order. Empty for the default order.
        columns: Sortable columns by name. NULL comes last.
        default_order: Columns for the default order and for rows with equal values. End with a unique column.
    """
    column = columns.get(sort.removeprefix("-"))
    if column is None:
        return default_order
    ordered = column.desc() if sort.startswith("-") else column.asc()
    if getattr(column, "nullable", True):
        # SQLite and PostgreSQL sort NULL differently. Columns without NULL can use an index.
        ordered = ordered.nulls_last()
    return ordered, *default_order
