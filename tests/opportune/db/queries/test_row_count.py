"""Numbers of rows of large lists."""

import pytest

from opportune.db.queries import row_count
from opportune.db.queries.row_count import RecentCounts, RowCount

LARGE = RowCount(1_000_000)


@pytest.mark.parametrize(("seconds", "later", "is_found"), [(0, 9, True), (0, 11, False), (1, 99, True)])
def test_slow_counts_are_remembered_longer(
    monkeypatch: pytest.MonkeyPatch, seconds: float, later: float, is_found: bool
) -> None:
    now = 100.0
    monkeypatch.setattr(row_count, "monotonic", lambda: now)
    counts = RecentCounts()
    counts.add("rows", LARGE, seconds)
    now += later
    assert counts.find("rows") == (LARGE if is_found else None)
