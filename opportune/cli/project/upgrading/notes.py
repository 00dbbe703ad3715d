"""Release notes between two versions."""

import re
from collections.abc import Iterator

from opportune.cli.project.record import parse_version

SECTION = re.compile(r"^## +\[?([^\]\s]+)\]?(.*)$", re.MULTILINE)
HEADING = re.compile(r"^### +(.+?) *$", re.MULTILINE)
ENTRY = re.compile(r"^[-*] ", re.MULTILINE)
COUNTED = ("Added", "Changed", "Fixed")
"""Headings whose entries need no action. Only their number is shown."""


def notes_between(changelog: str, old: str, new: str) -> Iterator[str]:
    """Yield the notes to read when upgrading from `old` to `new`, newest release first."""
    for version, text in _sections(changelog):
        if not _is_between(version, old, new):
            continue
        yield f"{version}:"
        counts = []
        for heading, entries in _headings(text):
            if heading in COUNTED:
                counts.append(f"{len(entries)} {heading.lower()}")
                continue
            yield f"  {heading}"
            yield from (f"    - {entry}" for entry in entries)
        if counts:
            yield f"  Other changes: {', '.join(counts)}."


def _sections(changelog: str) -> Iterator[tuple[str, str]]:
    _, *parts = SECTION.split(changelog)
    yield from zip(parts[::3], parts[2::3], strict=True)


def _headings(text: str) -> Iterator[tuple[str, list[str]]]:
    _, *parts = HEADING.split(text)
    for heading, entries in zip(parts[::2], parts[1::2], strict=True):
        yield heading, [" ".join(entry.split()) for entry in ENTRY.split(entries)[1:]]


def _is_between(version: str, old: str, new: str) -> bool:
    try:
        return parse_version(old) < parse_version(version) <= parse_version(new)
    except ValueError:  # "Unreleased"
        return False
