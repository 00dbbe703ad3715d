"""Charts of numbers by day, week or choice, which `admin/chart.html` draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from opportune.i18n import ngettext

WIDTH, HEIGHT = 300, 64
"""Size of the drawing, which is stretched to the width of its card."""


@dataclass(frozen=True)
class Point:
    """Rows of a day, of a week, or with one choice."""

    label: str
    number: int
    url: str = ""


@dataclass(frozen=True)
class Chart:
    label: str
    points: Sequence[Point]
    previous_total: int
    """Count of the period before."""
    days: int
    """Length of the period."""
    days_of_point: int = 1
    """Days of a point: 1 or 7."""
    shape: str = "line"
    """`line`, `bar`, or `choices` for a bar for each choice."""

    @cached_property
    def total(self) -> int:
        return sum(point.number for point in self.points)

    @cached_property
    def max_number(self) -> int:
        return max((point.number for point in self.points), default=0)

    @property
    def change(self) -> float | None:
        """Return the growth, 0.5 for 50 % more; None if the earlier count is zero."""
        return self.total / self.previous_total - 1 if self.previous_total else None

    @property
    def period_label(self) -> str:
        if self.days_of_point > 1:
            return ngettext("last %(num)s week", "last %(num)s weeks", self.days // self.days_of_point)
        return ngettext("last %(num)s day", "last %(num)s days", self.days)

    @property
    def step(self) -> float:
        return WIDTH / len(self.points)

    def height_of(self, point: Point) -> float:
        return round(point.number / self.max_number * (HEIGHT - 4), 1) if self.max_number else 0

    def percent_of(self, point: Point) -> float:
        return round(100 * point.number / self.max_number, 1) if self.max_number else 0

    @property
    def line(self) -> str:
        """Return the `points` of an SVG polyline. It reaches both edges."""
        step = WIDTH / max(len(self.points) - 1, 1)
        tops = [
            f"{index * step:.1f},{HEIGHT - 2 - self.height_of(point):.1f}" for index, point in enumerate(self.points)
        ]
        return " ".join(tops)
