"""Search for marks in a text that grows: chunks may split a mark anywhere."""

import re
from collections.abc import Collection
from functools import lru_cache

from opportune.contrib.llm.providers import marks as table
from opportune.contrib.llm.providers.marks import Marks

MAX_MARK_LENGTH = 80


class OfferedMarks:
    """Marks to look for in one answer.

    Attributes:
        lines: Marks of calls that count only at the beginning of a line.
        whole_calls: Beginning of an answer that consists of calls.
        in_text: Marks of calls in a text.
        after_part: Marks after another part.
        at_start: Marks at the start of an answer.
    """

    def __init__(self, tools: Collection[str] | None) -> None:
        """`tools`: Names of the offered tools. None if any name may be called."""
        calls = table.CALLS if tools or tools is None else ()
        self.lines = tuple(form.format(name) for name in tools or () for form in table.TEXT_CALLS)
        self.whole_calls = (*table.WHOLE_CALLS, *self.lines) if tools else ()
        self.in_text = (*calls, *self.lines)
        self.after_part = (*table.START_MARKS, *calls, *self.whole_calls)
        self.at_start = (*table.PRESUMED, *self.after_part)


@lru_cache(maxsize=50)
def pattern_of(marks: Marks) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


@lru_cache(maxsize=50)
def _beginnings_of(marks: Marks) -> frozenset[str]:
    return frozenset(mark[:length] for mark in marks for length in range(1, len(mark) + 1))


def length_of_mark(text: str, marks: Marks) -> int:
    """Return the length of the longest end of the text that is a mark or the beginning of one."""
    beginnings = _beginnings_of(marks)
    lengths = range(min(len(text), MAX_MARK_LENGTH), 0, -1)
    return next((length for length in lengths if text[-length:] in beginnings), 0)
