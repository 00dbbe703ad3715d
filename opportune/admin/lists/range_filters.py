"""Filters of a list by a range of numbers, dates or times."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, and_
from starlette.datastructures import QueryParams

from opportune.admin.lists.filters import ListFilter
from opportune.crud.operators import FROM, IS_EMPTY, LESS, TO, Operator
from opportune.db.clock import utc_now
from opportune.i18n import pgettext_lazy as _p
from opportune.i18n.parsing import MACHINE_NUMBER
from opportune.schemas.annotations import options_of
from opportune.web.forms.input_texts import DATETIME_LOCAL, input_type, machine_format
from opportune.web.time_zone import in_utc, local, start_of_day, to_utc

DATE_RANGES = {
    "today": _p("filter", "today"),
    "last_7_days": _p("filter", "in the last 7 days"),
    "this_month": _p("filter", "this month"),
    "this_year": _p("filter", "this year"),
}
BETWEEN = ("", _p("filter", "is between"))
OLD_COMPARISONS: Mapping[str, Sequence[Operator]] = {"equals": (FROM, TO), "greater_than": (FROM,), "less_than": (TO,)}
"""Comparisons in links and saved views of 0.2, with the ends of the range to which their value belongs."""
DAY = timedelta(days=1)
INPUT_TYPES = (date, "date"), (time, "time")


class RangeFilter(ListFilter):
    """A filter by one or both ends of a range. The plain parameter is a range of one value, as in `?price=5`.

    Days begin at midnight in the visitor's time zone, like the times in the rows of the list.
    """

    def __init__(self, *args: Any, type_: type[Any]) -> None:
        super().__init__(*args)
        self.type = type_
        self.input_type = next((text for base, text in INPUT_TYPES if issubclass(type_, base)), "number")
        info = getattr(self.path.end.class_, "model_fields", {}).get(self.path.name)
        self.unit = options_of(info).suffix if info else ""
        self.end_names: Mapping[str, Operator] = {
            self.parameter_name + operator.suffix: operator for operator in (FROM, TO)
        }

    @property
    def parameters(self) -> Sequence[str]:
        return (self.parameter_name, self.operation_name, *self.end_names)

    def operations(self) -> list[tuple[str, str]]:
        return [*(DATE_RANGES.items() if self.input_type == "date" else ()), *self.null_operations()]

    def form_operations(self) -> list[tuple[str, str]]:
        operations = self.operations()
        return [BETWEEN, *operations] if operations else []

    def read_operation(self, query: QueryParams) -> str:
        return "" if query.get(self.operation_name) in OLD_COMPARISONS else super().read_operation(query)

    def ends(self, query: QueryParams) -> dict[str, str]:
        """Return the non-empty ends of the range. A comparison such as "today" takes precedence over a range."""
        operation = query.get(self.operation_name) or "equals"  # a value without a comparison
        if operation not in OLD_COMPARISONS:
            return {}
        ends = {}
        for name, operator in self.end_names.items():
            value = query.get(self.parameter_name, "") if operator in OLD_COMPARISONS[operation] else ""
            if text := self.to_machine_format(query.get(name) or value):
                ends[name] = text
        return ends

    def to_machine_format(self, text: str) -> str:
        """Convert a number or date from the visitor's format. Return other texts unchanged."""
        try:
            decimals = 0 if issubclass(self.type, int) else None
            return machine_format(self._type_for(text), text.strip(), self.unit, decimals=decimals)
        except ValueError:
            return text

    def input_type_for(self, text: str) -> str:
        return input_type(self._type_for(text), text)

    def _type_for(self, text: str) -> str:
        return DATETIME_LOCAL if self.type is datetime and ":" in text else self.input_type

    def effective_parameters(self, query: QueryParams) -> Collection[str]:
        operation = query.get(self.operation_name)
        return self.parameters if not operation or operation in OLD_COMPARISONS else (self.operation_name,)

    def value_condition(self, query: QueryParams, operation: str) -> ColumnElement[bool] | None:
        if operation:
            first, last = _days_of(operation)
            return self.path.exists_where(self._since(first) & self._until(last))
        ends = [self._end_condition(self.end_names[name], text) for name, text in self.ends(query).items()]
        return self.path.exists_where(and_(*ends)) if ends else None

    def _end_condition(self, operator: Operator, text: str) -> ColumnElement[bool]:
        """Return the condition for one end of a range. Errors: `parse_condition`."""
        if self.input_type != "date":
            value = time.fromisoformat(text) if self.input_type == "time" else self._parse_number(text)
            return operator.compare(self.path.attribute, value)
        if self._type_for(text) == DATETIME_LOCAL:
            moment = datetime.fromisoformat(text)
            return operator.compare(self.path.attribute, in_utc(moment) if moment.tzinfo else to_utc(moment))
        day = date.fromisoformat(text)
        return self._since(day) if operator is FROM else self._until(day)

    def _parse_number(self, text: str) -> Any:
        if not MACHINE_NUMBER.fullmatch(text):
            raise ValueError
        number = self.type(text)
        column_type = self.path.end.columns[self.path.name].type
        bits = 31 if isinstance(column_type, Integer) and not isinstance(column_type, BigInteger) else 63
        if not abs(number) < 2**bits:  # also rejects NaN, whose comparisons are always false
            raise ValueError
        return number

    def _since(self, day: date) -> ColumnElement[bool]:
        return FROM.compare(self.path.attribute, start_of_day(day) if self.type is datetime else day)

    def _until(self, day: date) -> ColumnElement[bool]:
        """Return the condition that the column is not after the day."""
        if day == date.max:  # has no next day
            return IS_EMPTY.compare(self.path.attribute, False)
        if self.type is datetime:
            return LESS.compare(self.path.attribute, start_of_day(day + DAY))
        return TO.compare(self.path.attribute, day)


def _days_of(operation: str) -> tuple[date, date]:
    """Return the first and the last day of a range such as `this_month`."""
    today = local(utc_now()).date()
    match operation:
        case "today":
            return today, today
        case "last_7_days":
            return today - 6 * DAY, today
        case "this_month":
            first = today.replace(day=1)
            return first, (first + 31 * DAY).replace(day=1) - DAY
    return date(today.year, 1, 1), date(today.year, 12, 31)
