"""When conversations were last used, as people say it, where they are."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby

from app.chat.models import Conversation
from opportune.db import utc_now
from opportune.web import current_zone


def by_period(conversations: Sequence[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    """Those of a list that was sorted by last use, under the name of their time."""
    today = _day(utc_now())
    for period, some in groupby(conversations, lambda each: period_of(_day(each.used_at), today)):
        yield period, list(some)


def period_of(day: date, today: date) -> str:
    """The name of a time up to today: by days, then by months."""
    days = (today - day).days
    if days < 2:
        return "Yesterday" if days == 1 else "Today"
    if days <= 7:
        return "Previous 7 days"
    return "This month" if (day.year, day.month) == (today.year, today.month) else f"{day:%B} {day.year}"


def _day(moment: datetime) -> date:
    return moment.astimezone(current_zone.get()).date()
