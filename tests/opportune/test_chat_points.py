"""The comparison in docs/chat.md: each point that the chat has is shown by a test."""

import re

import pytest

from opportune.project.layout import PROJECT

PAGE = PROJECT / "docs/chat.md"
ROW = re.compile(r"^\| \d+\. [^|]+ \| (?:\w+) \| (?:\w+) \| (\w+) \| (.+) \|$", re.MULTILINE)
TEST = re.compile(r"`(\S+\.py)`: `(\w+)`")

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the chat was removed")


def read_rows() -> list[tuple[str, str]]:
    return ROW.findall(PAGE.read_text(encoding="utf-8"))


def test_points_of_the_chat_have_tests() -> None:
    for value, cell in read_rows():
        match = TEST.fullmatch(cell)
        assert (match is None) == (value == "no"), cell
        if match:
            source = (PROJECT / "tests" / match[1]).read_text(encoding="utf-8")
            assert f"def {match[2]}(" in source, cell
