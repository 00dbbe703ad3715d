"""Retention of backups: keep the newest of each of the last days, weeks and months."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from opportune.contrib.backup.store import StoredBackup

PERIODS: Mapping[str, Callable[[datetime], object]] = {
    "hourly": lambda time: (time.date(), time.hour),
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}
PROTECTED_PERIOD = timedelta(days=1)
"""Backups from this period before the newest always remain, because the newest may contain damaged data."""


def find_superseded(backups: Sequence[StoredBackup], keep: Mapping[str, int]) -> list[StoredBackup]:
    """Return the backups to delete, oldest first. The newest and those less than a day older always remain."""
    newest_first = sorted(backups, reverse=True)
    remaining = {backup for backup in newest_first if newest_first[0].created - backup.created < PROTECTED_PERIOD}
    for period, count in keep.items():
        newest_per_period: dict[object, StoredBackup] = {}
        for backup in newest_first:
            newest_per_period.setdefault(PERIODS[period](backup.created), backup)
        remaining |= set(list(newest_per_period.values())[:count])
    return sorted(set(backups) - remaining)
