"""Cards of models on the dashboard: the latest rows, and how many are new in comparison to the range before.

At most a fixed number of the newest rows is read, so that counts cost the same on large tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Integer, Select, Subquery, func, inspect, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.views import AdminView
from opportune.contrib.charts import growth
from opportune.contrib.dashboard.ranges import Range
from opportune.crud.schema_fields import TIMESTAMPS
from opportune.db.clock import utc_now
from opportune.db.models.columns import foreign_keys_of, is_indexed, python_type_of
from opportune.db.models.labels import title_of
from opportune.i18n.formats import format_number
from opportune.pagination import select_key
from opportune.web.time_zone import format_date, format_local_clock, local, start_of_day

MAX_ROWS = 5
"""Rows of each card."""
MAX_COUNTED_ROWS = 10_000
"""Rows that are counted for a card of a model."""
MAX_CHART_ROWS = 100_000
"""Rows that are counted for a chart."""


@dataclass(frozen=True)
class Counts:
    """Numbers of rows, of which at most `MAX_COUNTED_ROWS` are counted."""

    total: int
    new: int = 0
    """Rows of the range."""
    before: int = 0
    """Rows of the range before."""

    @property
    def total_text(self) -> str:
        return _count_text(self.total)

    @property
    def new_text(self) -> str:
        return _count_text(self.new)

    @property
    def change(self) -> float | None:
        """Return the growth, 0.5 for 50 % more; None if it is unknown."""
        return None if self.new + self.before > MAX_COUNTED_ROWS else growth(self.new, self.before)


class LatestRow(NamedTuple):
    row: Any
    title: str
    owner: str
    at: datetime | None
    when: str
    """The day; or the time, if it is today."""


def _count_text(number: int) -> str:
    return f"{format_number(MAX_COUNTED_ROWS)}+" if number > MAX_COUNTED_ROWS else format_number(number)


def creation_time(view: AdminView) -> InstrumentedAttribute[datetime] | None:
    """Return the attribute with the time at which a row was created; None if the user sees no such column.

    It is `created_at`, or another time that is set by default.
    """
    columns = view.mapper.columns.items()
    times = [
        name for name, column in columns if issubclass(python_type_of(column), datetime) and not view.names.hides(name)
    ]
    fields = getattr(view.model, "model_fields", {})
    defaults = [name for name in times if name in fields and fields[name].default_factory and name not in TIMESTAMPS]
    names = ["created_at"] if "created_at" in times else defaults
    return cast("InstrumentedAttribute[datetime]", getattr(view.model, names[0])) if names else None


async def read_counts(
    session: AsyncSession, request: Request, views: Sequence[AdminView], range_: Range
) -> list[Counts]:
    """Count the rows of views in one statement."""
    if not views:
        return []
    statements = [_count(request, view, range_, position) for position, view in enumerate(views)]
    return [Counts(*numbers) for _, *numbers in sorted(await session.execute(union_all(*statements)))]


def _count(request: Request, view: AdminView, range_: Range, position: int) -> Select[int, int, int, int]:
    """Select the position of the view, and its counts. Without creation times, no row is new."""
    rows = view.list_query(request)
    at = creation_time(view)
    if at is None:
        keys = select_key(rows, view.pk_columns[0]).limit(MAX_COUNTED_ROWS + 1).subquery()
        return select(literal(position), func.count(), literal(0), literal(0)).select_from(keys)
    newest = newest_rows(rows, at, MAX_COUNTED_ROWS)
    since, end = range_.with_the_one_before()
    first = start_of_day(range_.first_day())
    new = func.count().filter(*is_between(newest.c.moment, first, end))
    before = func.count().filter(*is_between(newest.c.moment, since, first))
    return select(literal(position), func.count(), new, before).select_from(newest)


async def read_latest(
    session: AsyncSession, request: Request, views: Sequence[AdminView], counts: Sequence[Counts]
) -> Mapping[str, Sequence[LatestRow]]:
    """Read the newest rows of views, by identity: a statement for each view, and one for the owners of all rows."""
    cards = []
    for view, count in zip(views, counts, strict=True):
        created = creation_time(view)
        query = view.list_query(request).order_by(None)
        if created is not None:  # the database can sort a few rows without an index
            is_short = count.total <= MAX_COUNTED_ROWS
            query = query.order_by(_newest_first(created) if is_short else order_of_newest(created))
        query = query.order_by(*(key.desc() for key in view.pk_columns))
        rows = await session.scalars(query.options(*view.queries.loading(())).limit(MAX_ROWS))
        cards.append(_Card(view, created, _owner_column(view), rows.unique().all()))
    owner_ids = {owner_id for card in cards for row in card.rows if (owner_id := card.owner_id(row)) is not None}
    users = select(User).where(inspect(User).primary_key[0].in_(owner_ids))
    names = {user.id: str(title_of(user)) for user in await session.scalars(users)} if owner_ids else {}
    return {card.view.identity: [card.describe(row, names) for row in card.rows] for card in cards}


@dataclass(frozen=True)
class _Card:
    """The newest rows of a view, and the columns with their times and owners."""

    view: AdminView
    created: InstrumentedAttribute[datetime] | None
    owner_column: str | None
    rows: Sequence[Any]

    def owner_id(self, row: Any) -> Any:
        return getattr(row, self.owner_column) if self.owner_column else None

    def describe(self, row: Any, names: Mapping[Any, str]) -> LatestRow:
        at: datetime | None = getattr(row, self.created.key) if self.created is not None else None
        owner = names.get(self.owner_id(row), "")
        return LatestRow(row, str(title_of(row)), owner, at, _when(at) if at else "")


def _owner_column(view: AdminView) -> str | None:
    """Return the first visible column that refers to a user, if there is one."""
    for name, model in foreign_keys_of(view.mapper).items():
        if model is User and not view.names.hides(name):
            return name
    return None


def _when(at: datetime) -> str:
    return format_local_clock(at) if local(at).date() == local(utc_now()).date() else format_date(at)


def newest_rows(rows: Select[Any], at: InstrumentedAttribute[Any], limit: int, *columns: Any) -> Subquery:
    """Select the newest rows and one more, with their time as `moment`.

    Args:
        rows: Query for the rows of one model.
        at: Column with the time of each row. Without an index, rows with the highest keys are the newest.
        limit: Number of rows to read.
        columns: Further columns to select.
    """
    newest = rows.with_only_columns(at.label("moment"), *columns, maintain_column_froms=True).order_by(None)
    return newest.order_by(order_of_newest(at)).limit(limit + 1).subquery()


def order_of_newest(at: InstrumentedAttribute[Any]) -> Any:
    """Return the order with the newest rows first, in which the database reads no older ones."""
    mapper: Any = inspect(at.class_)
    column, key = mapper.columns[at.key], mapper.primary_key[0]
    has_numbers = len(mapper.primary_key) == 1 and isinstance(key.type, Integer)
    is_ordered = is_indexed(column) and not column.nullable
    return _newest_first(at) if is_ordered or not has_numbers else key.desc()


def _newest_first(at: InstrumentedAttribute[Any]) -> Any:
    """Return the order by a time. Rows without one are last, although PostgreSQL would put them first."""
    return at.desc().nulls_last() if inspect(at.class_).columns[at.key].nullable else at.desc()


def is_between(column: Any, since: datetime, end: datetime) -> Sequence[ColumnElement[bool]]:
    return column >= since, column < end
