"""Caches that the thousands of sites of a test run share."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jinja2 import FileSystemBytecodeCache

from opportune import application
from opportune.admin.mount import LazyAdmin

GC_THRESHOLDS = (100_000, 20, 50)


@contextmanager
def share_site_caches(run_folder: Path) -> Iterator[None]:
    """Share the compiled templates of the admin with the processes of this run, and collect garbage seldom."""
    folder = run_folder / "templates"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LazyAdmin, "bytecode_cache", FileSystemBytecodeCache(str(folder)))
        patch.setattr(application, "tune_gc", lambda: None)
        # Frozen permanently: otherwise pytest and this code would scan the earlier objects again.
        gc.set_threshold(*GC_THRESHOLDS)
        yield
