"""Entries of the development server's log file."""

import re
from collections.abc import Sequence
from contextlib import suppress

from opportune.server import log_file

ENTRY_START = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)
"""Beginning of an entry. The lines of its traceback follow, indented."""
ERROR_ENTRY = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL)")


def read_entries() -> Sequence[str]:
    """Return the entries of the file and of the one before it, oldest first."""
    text = ""
    for path in (log_file.PATH.with_name(f"{log_file.PATH.name}.1"), log_file.PATH):
        with suppress(FileNotFoundError):
            text += path.read_text(encoding="utf-8", errors="replace")
    return [entry.rstrip("\n") for entry in ENTRY_START.split(text) if entry]


def is_error(entry: str) -> bool:
    return bool(ERROR_ENTRY.match(entry))
