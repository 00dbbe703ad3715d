"""A site that does nothing that a test has not asked for: most look at no page of the admin, and queue no job."""

import time
from collections.abc import Sequence

import pytest
from fastapi import FastAPI

from opportune import application
from opportune.config.settings import Settings
from opportune.feature import Feature


def quiet_app(settings: Settings, features: Sequence[Feature] | None = None) -> FastAPI:
    """Do what `create_app` does, but wait for a job to be queued; routes and the admin are made as in production."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "analyze", lambda _routes: None)
        app = application.create_app(settings, features)
    app.state.is_quiet = True
    app.state.jobs.worker.polled_at = time.monotonic()  # no check of the queue at the first commit
    return app
