"""Group conversations by their last use, in the time zone of the user."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby

from app.chat.models import Conversation
from opportune.db import utc_now
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_month
from opportune.web import current_zone


def group_by_period(conversations: Sequence[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    """Group conversations that are sorted by pin and last use."""
    today = _local_date(utc_now())

    def name_group(conversation: Conversation) -> str:
        return _("Pinned") if conversation.is_pinned else name_period(_local_date(conversation.used_at), today)

    for period, group in groupby(conversations, name_group):
        yield period, list(group)


def name_period(day: date, today: date) -> str:
    """Return the name of a period up to today: days, then months."""
    days = (today - day).days
    if days < 2:
        return _("Yesterday") if days == 1 else _("Today")
    if days <= 7:
        return _("Previous 7 days")
    return _("This month") if (day.year, day.month) == (today.year, today.month) else format_month(day)


def _local_date(moment: datetime) -> date:
    return moment.astimezone(current_zone.get()).date()
