"""Cron schedules of jobs."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from opportune.errors import OperatorError

SCHEDULE_KEY = "schedule:"
"""What the keys of scheduled runs begin with."""
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""As crontab(5) has them."""


def next_run_time(schedule: str, after: datetime) -> datetime:
    """The first time of a cron expression, in UTC, after another one.

    Raises:
        OperatorError: it is no such expression.
    """
    try:
        return next(CronSim(NICKNAMES.get(schedule.strip().lower(), schedule), after.astimezone(UTC)))
    except CronSimError as error:
        raise _no_schedule(schedule, str(error)) from error
    except StopIteration:
        raise _no_schedule(schedule, "there is no such day") from None


def schedule_key(name: str, time: datetime) -> str:
    """Key of a scheduled run: however many processes plan it, one of them does it."""
    return f"{SCHEDULE_KEY}{name}:{time:%Y-%m-%dT%H:%M:%S}"


def _no_schedule(schedule: str, why: str) -> OperatorError:
    return OperatorError(f"'{schedule}' is no schedule ({why}). Daily at three is '0 3 * * *'.")
