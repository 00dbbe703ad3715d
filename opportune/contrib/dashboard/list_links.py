"""Lists that the dashboard's widgets summarize: their rows, filters and URLs."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

from opportune.admin.lists.filters import parameters_of
from opportune.admin.lists.range_filter import RangeFilter
from opportune.admin.views import AdminView
from opportune.contrib.dashboard.ranges import Range


def date_filter(view: AdminView, column: Any, range_: Range) -> dict[str, str]:
    """Return the filter of the list for the days of a range; empty if the list has none."""
    return days_filter(view, column, range_.first_day(), range_.last_day())


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
