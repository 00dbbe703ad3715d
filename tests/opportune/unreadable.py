"""A file of another user."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY_UID = 65534


@contextmanager
def unreadable(name: str, text: str = "") -> Iterator[Path]:
    """Make a file unreadable for this process. As root, switch to another user in the block."""
    if sys.platform == "win32":
        pytest.skip("Windows keeps nobody from reading a file by its mode")
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o000)
        Path(folder).chmod(0o755)
        before = os.geteuid()
        os.seteuid(before or NOBODY_UID)
        try:
            yield path
        finally:
            os.seteuid(before)
