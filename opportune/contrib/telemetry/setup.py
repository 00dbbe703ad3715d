"""Set up the metrics, traces and error reports enabled in the settings."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.contrib.telemetry import sentry, status_api
from opportune.contrib.telemetry.metrics import routes as metrics
from opportune.contrib.telemetry.metrics.metrics import Metrics
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.traces.requirements import require_opentelemetry
from opportune.contrib.telemetry.workers import get_workers
from opportune.server.worker_group import WORKERS_VARIABLE
from opportune.services import Services
from opportune.services.observers import observed_by
from opportune.web.routing.router import router_of


class Telemetry:
    """Telemetry of a process. Without METRICS_TOKEN, `metrics` is None."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics() if settings.of(TelemetrySettings).metrics_token.get_secret_value() else None


def add_telemetry(app: FastAPI) -> None:
    """Start error reports, add the routes of the metrics, and check the requirements of traces."""
    if app.state.settings.of(TelemetrySettings).otel_exporter_otlp_endpoint:
        require_opentelemetry(app.state.settings)
    if app.state.settings.of(TelemetrySettings).sentry_dsn.get_secret_value():
        sentry.start_sentry(app.state.settings)
    if app.state.telemetry.metrics:
        router_of(app).include_flat(metrics.router)
        router_of(app).include_flat(status_api.router)


@asynccontextmanager
async def telemetry_running(services: Services) -> AsyncIterator[None]:
    """Report errors and send traces of a server or worker until the block ends."""
    settings = services.settings
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(errors_reported(settings))
        if settings.of(TelemetrySettings).otel_exporter_otlp_endpoint:
            require_opentelemetry(settings)
            from opportune.contrib.telemetry.traces.running import tracing  # after the check

            await stack.enter_async_context(tracing(settings, services.database))
        yield


@asynccontextmanager
async def server_observed(app: FastAPI) -> AsyncIterator[None]:
    """Collect metrics of a server, and answer the other workers' questions for them, until the block ends."""
    metrics = app.state.telemetry.metrics
    async with AsyncExitStack() as stack:
        if metrics:
            stack.enter_context(observed_by(metrics))
            await stack.enter_async_context(metrics.watching())
        if os.environ.get(WORKERS_VARIABLE):
            await stack.enter_async_context(get_workers(app).listening())
        yield


@asynccontextmanager
async def errors_reported(settings: Settings) -> AsyncIterator[None]:
    """Report an exception that ends the block to Sentry if SENTRY_DSN is set, then send pending reports."""
    if not settings.of(TelemetrySettings).sentry_dsn.get_secret_value():
        yield
        return
    sentry.start_sentry(settings)
    try:
        with sentry.reporting():
            yield
    finally:
        await sentry.flush()
