"""Cron schedules of jobs."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from opportune.errors import OperatorError

SCHEDULE_KEY = "schedule:"
"""Prefix of the keys of scheduled runs."""
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Nicknames of crontab(5)."""


def next_run_time(schedule: str, after: datetime) -> datetime:
    """Return the next time of a cron expression after a given time, both in UTC.

    Raises:
        OperatorError: The expression is invalid.
    """
    try:
        return next(CronSim(NICKNAMES.get(schedule.strip().lower(), schedule), after.astimezone(UTC)))
    except CronSimError as error:
        raise _invalid_schedule(schedule, str(error)) from error
    except StopIteration:
        raise _invalid_schedule(schedule, "no day matches") from None


def schedule_key(name: str, time: datetime) -> str:
    """Return the key of a scheduled run, with which only one of several processes queues it."""
    return f"{SCHEDULE_KEY}{name}:{time:%Y-%m-%dT%H:%M:%S}"


def _invalid_schedule(schedule: str, reason: str) -> OperatorError:
    return OperatorError(f"'{schedule}' is not a valid schedule ({reason}). Daily at three is '0 3 * * *'.")
