"""The site of most tests, which need neither the admin nor jobs. Both start on first use."""

import time
from collections.abc import Sequence

import pytest
from fastapi import FastAPI

from opportune import application
from opportune.config.settings import Settings
from opportune.feature import Feature


def create_test_app(settings: Settings, features: Sequence[Feature] | None = None) -> FastAPI:
    """Create a site without a worker, which starts when a job is queued, and with admin routes built on first use."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "build_mounted_routes", lambda _routes: None)
        app = application.create_app(settings, features)
    app.state.is_test_app = True
    app.state.jobs.worker.polled_at = time.monotonic()  # no check of the queue at the first commit
    return app
