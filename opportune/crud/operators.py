"""Comparisons of columns with values. The lists of sites, the API and the admin share them."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, not_

from opportune.db.queries.matching import contains, starts_with
from opportune.i18n import gettext_lazy as _l

Compare = Callable[[Any, Any], ColumnElement[bool]]


class Operator(NamedTuple):
    """A comparison of a column with a value."""

    suffix: str
    label: str
    """The label of a form field, which contains the label of the column."""
    compare: Compare
    takes_many: bool = False


def _is_one_of(column: ColumnElement[Any], values: Any) -> ColumnElement[bool]:
    return column.in_(values)


def _is_empty(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_(None) if value else not_(column.is_(None))


EQUAL = Operator("", "", operator.eq)
IN = Operator("__in", _l("%(label)s is one of"), _is_one_of, takes_many=True)
IS_EMPTY = Operator("__isnull", _l("%(label)s is empty"), _is_empty)
CONTAINS = Operator("__icontains", _l("%(label)s contains"), contains)
STARTS_WITH = Operator("", _l("%(label)s starts with"), starts_with)
GREATER = Operator("__gt", _l("%(label)s over"), operator.gt)
LESS = Operator("__lt", _l("%(label)s under"), operator.lt)
FROM = Operator("__gte", _l("%(label)s from"), operator.ge)
TO = Operator("__lte", _l("%(label)s to"), operator.le)
ORDER = (GREATER, FROM, LESS, TO)
