"""Charts of numbers by day, week or choice, which `admin/chart.html` draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from math import ceil, floor, log10
from typing import NamedTuple

from opportune.i18n import ngettext
from opportune.i18n.formats import format_number

TOP, BOTTOM = 24, 144
"""Vertical positions of the highest and the lowest tick. The names of points are above, and dates are below."""
EDGE_PERCENT = 15
"""Part of the width at each side, in which a centred text would not fit."""
MAX_DATES = 4
"""Labels of the horizontal axis, which fit on a phone also with long names of months."""
MIN_COMPARED = 10
"""Number of the period before from which a percentage says something."""
STEPS = (1, 2, 5, 10)
"""Distances of ticks, times a power of ten."""


class Point(NamedTuple):
    """Rows of a day, of a week, or with one choice."""

    label: str
    number: int | float | Decimal
    url: str = ""
    date: str = ""
    """Label of the horizontal axis, if it is shorter than the point's."""
    number_text: str = ""
    """The formatted number; empty for the usual format."""

    @property
    def text(self) -> str:
        return self.number_text or format_number(self.number)


class Place(NamedTuple):
    """Position of a point. `left` and `middle` are percents of the width of the chart."""

    point: Point
    left: float
    middle: float
    y: float
    anchor: str
    """The `text-anchor` of a text in the middle, which stays inside the chart."""


@dataclass(frozen=True)
class Chart:
    label: str
    points: Sequence[Point]
    """At least one, unless the shape is `choices`."""
    previous_total: int | float | Decimal
    """Number of the period before."""
    days: int
    """Length of the period."""
    days_of_point: int = 1
    """Days of a point: 1 or 7."""
    shape: str = "line"
    """`line`, `bar`, or `choices` for a bar for each choice."""
    is_partial: bool = False
    """Whether only the newest rows were counted."""

    @cached_property
    def total(self) -> int | float | Decimal:
        return sum(point.number for point in self.points)

    @cached_property
    def max_number(self) -> int | float | Decimal:
        return max((point.number for point in self.points), default=0)

    @property
    def change(self) -> float | None:
        """Return the growth, 0.5 for 50 % more; None if the earlier count is small or not complete."""
        return growth(self.total, 0 if self.is_partial else self.previous_total)

    @property
    def period_label(self) -> str:
        if self.days_of_point > 1:
            return ngettext("last %(num)s week", "last %(num)s weeks", self.days // self.days_of_point)
        return ngettext("last %(num)s day", "last %(num)s days", self.days)

    def percent_of(self, point: Point) -> float:
        """Return the length of a choice's bar. Negative numbers have none."""
        if self.max_number <= 0:
            return 0
        return max(round(100 * float(point.number) / float(self.max_number), 1), 0)

    @cached_property
    def _axis(self) -> Sequence[float]:
        """Return round numbers of the vertical axis from the lowest to the highest, about three."""
        numbers = [float(point.number) for point in self.points]
        low = min(0.0, *numbers)
        high = max(0.0, *numbers)
        step = _round_up((high - low) / 2 or 1)
        if all(number.is_integer() for number in numbers):
            step = max(1.0, step)
        first = floor(low / step)
        last = max(ceil(high / step), 1)
        return [step * index for index in range(first, last + 1)]

    @property
    def ticks(self) -> Iterator[tuple[float, float]]:
        """Yield the numbers of the vertical axis with their heights."""
        for tick in self._axis:
            yield int(tick) if tick.is_integer() else tick, self._y(tick)

    def _y(self, number: float) -> float:
        low, high = self._axis[0], self._axis[-1]
        return round(BOTTOM - (number - low) / (high - low) * (BOTTOM - TOP), 1)

    @property
    def zero(self) -> float:
        """Return the height of the number 0."""
        return self._y(0)

    @property
    def width(self) -> float:
        """Return the width of a point in percent."""
        return round(100 / len(self.points), 3)

    @cached_property
    def places(self) -> Sequence[Place]:
        width = 100 / len(self.points)
        places = []
        for index, point in enumerate(self.points):
            left = round(index * width, 2)
            middle = round((index + 0.5) * width, 2)
            places.append(Place(point, left, middle, self._y(float(point.number)), _anchor(middle)))
        return places

    @property
    def dates(self) -> Sequence[Place]:
        """Return the points with a label on the horizontal axis."""
        return self.places[:: ceil(len(self.points) / MAX_DATES)]

    @property
    def line(self) -> str:
        """Return the `points` of an SVG polyline."""
        return " ".join(f"{place.middle},{place.y}" for place in self.places)


def growth(total: float | Decimal, before: float | Decimal) -> float | None:
    """Return 0.5 for 50 % more than before; None if too little was before for a percentage."""
    return float(total) / float(before) - 1 if before >= MIN_COMPARED else None


def _anchor(middle: float) -> str:
    if middle < EDGE_PERCENT:
        return "start"
    return "end" if middle > 100 - EDGE_PERCENT else "middle"


def _round_up(number: float) -> float:
    """Return the next number such as 1, 2, 5, 10 or 20."""
    unit = 10.0 ** floor(log10(number))
    return next(step * unit for step in STEPS if step * unit >= number)
