"""Differences of long texts."""

import pytest

from opportune.contrib.row_versions import pages
from opportune.contrib.row_versions.pages import MAX_LINE_LENGTH, _compare_lines


def test_difference_begins_at_the_first_changed_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_COMPARED_LINES", 3)
    text = "\n".join(map(str, range(50)))
    assert _compare_lines(text, text.replace("40", "forty")) == [(" ", "39"), ("-", "40"), ("+", "forty"), (" ", "41")]


def test_added_last_line_is_a_difference() -> None:
    assert _compare_lines("one\ntwo", "one\ntwo\nthree") == [(" ", "two"), ("+", "three")]


def test_line_is_cut() -> None:
    assert _compare_lines("", "x" * 1_000_000) == [("+", "x" * MAX_LINE_LENGTH)]
