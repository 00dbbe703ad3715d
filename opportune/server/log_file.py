"""Log file of development, which coding agents read through `oppman.py mcp`."""

import os
import re
from collections.abc import Sequence
from typing import Any

from opportune.config.project import PROJECT
from opportune.config.settings import Settings

PATH = PROJECT / "data" / "development.log"
MAX_FILE_BYTES = 1_000_000
ENTRY_START = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)
"""Beginning of an entry. The lines of its traceback follow, indented."""
ERROR_ENTRY = re.compile(r"^\S+ \S+ (?:ERROR|CRITICAL)")


def log_file_handler(settings: Settings) -> dict[str, Any] | None:
    """Return the configuration of a handler that writes the file; None outside development."""
    if settings.environment != "development" or not os.access(PROJECT, os.W_OK):
        return None
    PATH.parent.mkdir(exist_ok=True)
    return {
        "class": "logging.handlers.RotatingFileHandler",
        "filename": str(PATH),
        "maxBytes": MAX_FILE_BYTES,
        "backupCount": 1,
        "encoding": "utf-8",
        "delay": True,
        "formatter": "text",
        "filters": ["request_number"],
    }


def read_entries() -> Sequence[str]:
    """Return the entries of the file, oldest first."""
    try:
        text = PATH.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    return [entry.rstrip("\n") for entry in ENTRY_START.split(text) if entry]


def is_error(entry: str) -> bool:
    return bool(ERROR_ENTRY.match(entry))
