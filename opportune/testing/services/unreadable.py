"""A file of another user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

NOBODY_UID = 65534


@contextmanager
def unreadable(name: str, text: str = "") -> Iterator[Path]:
    """Make a file that this process may not read. Root, who may, is nobody meanwhile."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text)
        path.chmod(0o000)
        Path(folder).chmod(0o755)
        before = os.geteuid()
        os.seteuid(before or NOBODY_UID)
        try:
            yield path
        finally:
            os.seteuid(before)
