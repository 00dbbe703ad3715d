"""Sections of Markdown files."""

import re
from collections.abc import Iterator

from opportune.contrib.extraction.pages import Page, section

FENCE = re.compile(r"\s*(?:```|~~~)")
HEADING = re.compile(r"#{1,4}\s+(.*)")


def read_markdown(text: str) -> Iterator[Page]:
    """Yield the sections of a Markdown file as they are written."""
    heading = ""
    lines: list[str] = []
    is_code = False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        if not is_code and (match := HEADING.fullmatch(line)):
            yield from section(heading, "\n".join(lines))
            heading = match[1].strip().rstrip("#").rstrip()
            lines = []
        else:
            lines.append(line)
    yield from section(heading, "\n".join(lines))
