"""Run times of cron schedules."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from opportune.errors import OperatorError
from opportune.jobs.schedules import next_run_time

SATURDAY = datetime(2026, 2, 28, 12, 30, 15, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "time"),
    [
        ("*/20 9-17 * * MON-FRI", "2026-03-02 09:00:00"),
        ("30 0 3 * * *", "2026-03-01 03:00:30"),
        ("@hourly", "2026-02-28 13:00:00"),
        (" @Daily ", "2026-03-01 00:00:00"),
        ("@weekly", "2026-03-01 00:00:00"),
        ("@monthly", "2026-03-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
    ],
)
def test_next_run_time_is_in_utc_and_later(schedule: str, time: str) -> None:
    wellington = SATURDAY.astimezone(timezone(timedelta(hours=13)))
    assert next_run_time(schedule, wellington) == datetime.fromisoformat(time).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "reason"), [("hourly", "Wrong number of fields"), ("0 0 */31 * MON#2", "no day matches")]
)
def test_invalid_schedule_is_refused(schedule: str, reason: str) -> None:
    with pytest.raises(OperatorError) as error:
        next_run_time(schedule, SATURDAY)
    assert str(error.value) == f"'{schedule}' is not a valid schedule ({reason}). Daily at three is '0 3 * * *'."
