from datetime import UTC, datetime

from opportune.web.time_zone import format_datetime


def test_a_time_is_for_people_and_without_a_leading_zero() -> None:
    assert format_datetime(datetime(2026, 11, 3, 9, 5, tzinfo=UTC)) == "3 Nov 2026, 09:05 UTC"
    assert format_datetime(None) == ""
