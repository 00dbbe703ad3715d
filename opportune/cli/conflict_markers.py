"""Conflict markers of git merges in the project's files."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

MARKERS = re.compile(rb"^<<<<<<< .*?^=======\r?$.*?^>>>>>>> ", re.MULTILINE | re.DOTALL)
SKIPPED_FOLDERS = {".git", ".venv", "node_modules", "__pycache__"}
MAX_FILE_BYTES = 1_000_000
ADVICE = "Resolve the conflicts and delete the lines <<<<<<<, ======= and >>>>>>>."


def conflicting_files(folder: Path) -> Iterator[str]:
    """Yield path and line of the first marker of each file, such as `app/books/pages.py:3`."""
    for parent, folders, names in os.walk(folder):
        skipped = SKIPPED_FOLDERS | ({"data"} if Path(parent) == folder else set())  # uploads and databases
        folders[:] = sorted(name for name in folders if name not in skipped and not name.endswith("_cache"))
        for path in (Path(parent, name) for name in sorted(names)):
            if line := first_marker(path):
                yield f"{path.relative_to(folder).as_posix()}:{line}"


def first_marker(path: Path) -> int:
    """Return the line of a file's first marker; 0 if there is none."""
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b""
    except OSError:
        return 0
    match = MARKERS.search(content) if b"<<<<<<<" in content else None  # `in` is ten times faster
    return content.count(b"\n", 0, match.start()) + 1 if match else 0
