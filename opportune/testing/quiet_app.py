"""A site that starts parts on first use, because most tests need neither the admin nor jobs."""

import time
from collections.abc import Sequence

import pytest
from fastapi import FastAPI

from opportune import application
from opportune.config.settings import Settings
from opportune.feature import Feature


def quiet_app(settings: Settings, features: Sequence[Feature] | None = None) -> FastAPI:
    """Call `create_app` without the worker, which starts when a job is queued."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "build_mounted_routes", lambda _routes: None)
        app = application.create_app(settings, features)
    app.state.is_quiet = True
    app.state.jobs.worker.polled_at = time.monotonic()  # no check of the queue at the first commit
    return app
