"""Ranges of the dashboard's charts, chosen by the parameter `range`, in days of the user's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from starlette.requests import Request

from opportune.db.clock import utc_now
from opportune.i18n import ngettext
from opportune.i18n.formats import week_start
from opportune.web.time_zone import local, start_of_day

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Range:
    name: str
    """Value of the parameter."""
    days: int
    step: int = 1
    """Days of a point of a chart."""

    @property
    def label(self) -> str:
        if self.step > 1:
            return ngettext("%(num)s week", "%(num)s weeks", self.days // self.step)
        return ngettext("%(num)s day", "%(num)s days", self.days)

    def last_day(self) -> date:
        """Return today, or the end of this week."""
        today = local(utc_now()).date()
        return week_start(today) + (self.step - 1) * DAY if self.step > 1 else today

    def first_day(self) -> date:
        return self.last_day() - (self.days - 1) * DAY

    def with_the_one_before(self) -> tuple[datetime, datetime]:
        """Return the beginning of the range before, and the end of this one."""
        return start_of_day(self.first_day() - self.days * DAY), start_of_day(self.last_day() + DAY)

    def steps(self) -> Iterator[list[date]]:
        """Yield the days of each point of a chart."""
        first = self.first_day()
        for offset in range(0, self.days, self.step):
            yield [first + number * DAY for number in range(offset, offset + self.step)]


RANGES = [Range("7", 7), Range("30", 30), Range("90", 90), Range("year", 52 * 7, 7)]
DEFAULT_RANGE = RANGES[1]


def requested_range(request: Request) -> Range:
    name = request.query_params.get("range")
    return next((range_ for range_ in RANGES if range_.name == name), DEFAULT_RANGE)
