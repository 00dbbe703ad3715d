"""The site of most tests, which need neither the admin nor jobs. Both start on first use."""

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from jinja2 import FileSystemBytecodeCache

from opportune import application
from opportune.admin.mount import LazyAdmin
from opportune.config.settings import Settings
from opportune.feature import Feature

GC_THRESHOLDS = (100_000, 20, 50)


def create_test_app(settings: Settings, features: Sequence[Feature] | None = None) -> FastAPI:
    """Create a site without a worker, which starts when a job is queued, and with admin routes built on first use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "build_mounted_routes", lambda _routes: None)
        app = application.create_app(settings, features)
    app.state.is_test_app = True
    app.state.jobs.worker.polled_at = time.monotonic()  # no check of the queue at the first commit
    return app


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
