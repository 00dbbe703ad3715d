"""When a job with a schedule is due."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from opportune.errors import OperatorError
from opportune.jobs.schedule import next_run_time

SATURDAY = datetime(2026, 2, 28, 12, 30, 15, 500, tzinfo=UTC)


def test_the_next_time_is_in_utc_and_after_now() -> None:
    for schedule, due in (
        ("* * * * *", "2026-02-28 12:31:00"),
        ("*/20 9-17 * * MON-FRI", "2026-03-02 09:00:00"),
        ("0 3 L * *", "2026-03-31 03:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 3 1 * SUN", "2026-03-01 03:00:00"),
        ("30 0 3 * * *", "2026-03-01 03:00:30"),
        ("@hourly", "2026-02-28 13:00:00"),
        (" @Daily ", "2026-03-01 00:00:00"),
        ("@weekly", "2026-03-01 00:00:00"),
        ("@monthly", "2026-03-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
    ):
        wellington = SATURDAY.astimezone(timezone(timedelta(hours=13)))
        assert next_run_time(schedule, wellington) == datetime.fromisoformat(due).replace(tzinfo=UTC), schedule


def test_an_invalid_schedule_is_refused_in_one_line() -> None:
    for schedule, why in (
        ("hourly", "Wrong number of fields"),
        ("@often", "Wrong number of fields"),
        ("60 * * * *", "Bad minute"),
        ("0 -1 * * *", "Bad hour"),
        ("0 3 * * FRY", "Bad day-of-week"),
        ("0 3 31 2 *", "Bad day-of-month"),
        ("0 3 29 2 SUN#9", "Bad day-of-week"),
        ("0 */0 * * *", "Bad hour"),
        ("0 0 */31 * MON#2", "there is no such day"),
    ):
        with pytest.raises(OperatorError) as told:
            next_run_time(schedule, SATURDAY)
        assert str(told.value) == f"'{schedule}' is no schedule ({why}). Daily at three is '0 3 * * *'.", schedule
