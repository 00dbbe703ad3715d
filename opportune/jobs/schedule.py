"""Cron schedules of jobs."""

from datetime import UTC, datetime

from opportune.errors import OperatorError

SCHEDULE_KEY = "schedule:"
"""What the keys of scheduled runs begin with."""


def next_run_time(schedule: str, after: datetime) -> datetime:
    """The first time of a cron expression, in UTC, after another one.

    Raises:
        OperatorError: it is no such expression.
    """
    # For sites with a schedule, and without types.
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # noqa: PLC0415 - as just said

    try:
        found: datetime = croniter(schedule, after.astimezone(UTC)).get_next(datetime)
    except CroniterError as error:
        raise OperatorError(f"'{schedule}' is no schedule ({error}). Daily at three is '0 3 * * *'.") from error
    return found


def schedule_key(name: str, time: datetime) -> str:
    """Key of a scheduled run: however many processes plan it, one of them does it."""
    return f"{SCHEDULE_KEY}{name}:{time:%Y-%m-%dT%H:%M:%S}"
