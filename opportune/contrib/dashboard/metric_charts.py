"""Charts of metrics: the rows of each day or of each choice of a column, and URLs of lists with these rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, Subquery, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.admin.lists.choice_filters import choice_parameter, choice_text
from opportune.admin.lists.range_filters import RangeFilter
from opportune.admin.lists.view_filters import parameters_of
from opportune.admin.views import AdminView
from opportune.contrib.charts import Chart, Point
from opportune.contrib.dashboard.latest import MAX_CHART_ROWS, is_between, newest_rows
from opportune.contrib.dashboard.ranges import Range
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import is_indexed
from opportune.feature import Metric
from opportune.i18n import gettext
from opportune.i18n.formats import format_month_day
from opportune.web.time_zone import local, local_day_precision, start_of_day

ZERO_TIME = "0000-00-00 00:00"
"""Its end completes a time that is cut off."""


async def read_chart(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: AdminView
) -> Chart:
    """Count the rows of each day, in this range and in the range before."""
    since, end = range_.with_the_one_before()
    rows = _rows_of_ranges(metric, range_, conditions)
    interval = _interval_column(rows.c.moment, session.get_bind().dialect.name, local_day_precision(since, end))
    query = select(interval.label("interval_of_metric"), func.count()).where(*is_between(rows.c.moment, since, end))
    counts: Counter[date] = Counter()
    for text, number in await session.execute(query.group_by("interval_of_metric")):
        moment = datetime.fromisoformat(text + ZERO_TIME[len(text) :])  # a UTC time whose end was cut off
        counts[local(moment).date()] += number
    points = [_day_point(view, metric, days, range_, sum(counts[day] for day in days)) for days in range_.steps()]
    first_day = range_.first_day()
    previous = sum(number for day, number in counts.items() if day < first_day)
    is_partial = counts.total() > MAX_CHART_ROWS
    return Chart(metric.label, points, previous, range_.days, range_.step, metric.shape, is_partial)


async def read_choices(
    session: AsyncSession, metric: Metric, range_: Range, conditions: Sequence[Any], view: AdminView
) -> Chart:
    """Count the rows with each choice of the column `by`."""
    dates = days_filter(view, metric.at, range_.first_day(), range_.last_day())
    new = Counter[Any]()
    before = Counter[Any]()
    for value, new_rows, older_rows in await session.execute(_by_choice(metric, range_, conditions)):
        new[value], before[value] = new_rows, older_rows
    choices = [*(choices_of(metric.model, metric.by.key) or (True, False))]
    if None in new:
        choices.append(None)
    points = [
        Point(choice_text(value), new[value], list_url(view, {metric.by.key: choice_parameter(value), **dates}))
        for value in choices
    ]
    previous = before.total()
    is_partial = new.total() + previous > MAX_CHART_ROWS
    return Chart(metric.label, points, previous, range_.days, range_.step, "choices", is_partial)


def _by_choice(metric: Metric, range_: Range, conditions: Sequence[Any]) -> Select[Any]:
    since, end = range_.with_the_one_before()
    rows = _rows_of_ranges(metric, range_, conditions, metric.by)
    first = start_of_day(range_.first_day())
    choice = rows.c[metric.by.key]
    numbers = func.count().filter(rows.c.moment >= first), func.count().filter(rows.c.moment < first)
    return select(choice, *numbers).where(*is_between(rows.c.moment, since, end)).group_by(choice)


def _rows_of_ranges(metric: Metric, range_: Range, conditions: Sequence[Any], *columns: Any) -> Subquery:
    """Select the newest rows, at most a fixed number. Without an index, some may be older than both ranges."""
    rows = select(metric.model).where(*conditions)
    if is_indexed(inspect(metric.model).columns[metric.at.key]):
        rows = rows.where(*is_between(metric.at, *range_.with_the_one_before()))
    return newest_rows(rows, metric.at, MAX_CHART_ROWS, *columns)


def _day_point(view: AdminView, metric: Metric, days: Sequence[date], range_: Range, number: int) -> Point:
    """Return the point of a day or a week, with a link to its rows."""
    day = format_month_day(days[0])
    label = gettext("Week from %(day)s", day=day) if range_.step > 1 else day
    filters = days_filter(view, metric.at, days[0], days[-1])
    return Point(label, number, list_url(view, filters) if filters else "", day)


def _interval_column(column: ColumnElement[datetime], dialect: str, length: int) -> ColumnElement[str]:
    # SQLite stores UTC as text. PostgreSQL would use the connection's time zone.
    is_text = dialect != "postgresql"
    text = column if is_text else func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24:MI")
    return func.substr(text, 1, length)


def days_filter(view: AdminView, column: Any, first: date, last: date) -> dict[str, str]:
    """Return the filter of the list for these days; empty if the list has none."""
    filters = [filter_ for filter_ in view.get_filters() if isinstance(filter_, RangeFilter)]
    if column.key not in [filter_.parameter_name for filter_ in filters]:
        return {}
    return {f"{column.key}__gte": str(first), f"{column.key}__lte": str(last)}


def list_url(view: AdminView, filters: Mapping[str, str]) -> str:
    """Return the URL of a list. A filter that the list does not have is left out."""
    names = {name for filter_ in view.get_filters() for name in parameters_of(filter_)}
    present = {name: value for name, value in filters.items() if name in names}
    return f"/admin/{view.identity}/list" + (f"?{urlencode(present)}" if present else "")
