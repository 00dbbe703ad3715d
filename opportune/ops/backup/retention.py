"""Which backups stay: the newest of each of the last days, weeks and months."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from opportune.errors import OperatorError
from opportune.ops.backup.store import StoredBackup

PERIODS: Mapping[str, Callable[[datetime], object]] = {
    "hourly": lambda at: (at.date(), at.hour),
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}
ALWAYS_KEPT = timedelta(days=1)
"""Or a backup that somebody makes of a database that is spoiled would take the place of last night's."""
RULE = re.compile(r"(\d{1,4})\s*(hourly|daily|weekly|monthly|yearly)", re.IGNORECASE)


def parse_keep(text: str) -> dict[str, int]:
    """`7 daily, 4 weekly` as numbers by their words.

    Raises:
        OperatorError: it is no such list.
    """
    rules = [RULE.fullmatch(part.strip()) for part in text.split(",")]
    found = {rule[2].lower(): int(rule[1]) for rule in rules if rule}
    if len(found) < len(rules) or not any(found.values()):
        raise OperatorError(
            f"BACKUP_KEEP is {text!a}: write how many of which, such as '7 daily, 4 weekly, 6 monthly' "
            f"({', '.join(PERIODS)})."
        )
    return found


def superseded(backups: Sequence[StoredBackup], keep: Mapping[str, int]) -> list[StoredBackup]:
    """Those that may go, oldest first. The newest and what is less than a day older stay whatever is said."""
    newest_first = sorted(backups, reverse=True)
    kept = {backup for backup in newest_first if newest_first[0].made - backup.made < ALWAYS_KEPT}
    for word, most in keep.items():
        newest_of: dict[object, StoredBackup] = {}
        for backup in newest_first:
            newest_of.setdefault(PERIODS[word](backup.made), backup)
        kept |= set(list(newest_of.values())[:most])
    return sorted(set(backups) - kept)
