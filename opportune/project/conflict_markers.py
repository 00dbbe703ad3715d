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
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(parent, name), folder))
        for name in sorted(names):
            path = Path(parent, name)
            if line := first_marker(path):
                yield f"{path.relative_to(folder).as_posix()}:{line}"


def _is_skipped(path: Path, root: Path) -> bool:
    has_uploads = path == root / "data"
    return has_uploads or path.name in SKIPPED_FOLDERS or path.name.endswith("_cache")


def first_marker(path: Path) -> int:
    """Return the line of a file's first marker; 0 if there is none."""
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else b""
    except OSError:
        return 0
    if b"<<<<<<<" not in content:  # ten times faster than the pattern
        return 0
    match = MARKERS.search(content)
    return content.count(b"\n", 0, match.start()) + 1 if match else 0
