"""Set up the metrics, traces and error reports enabled in the settings."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.ops.telemetry import sentry, status_api
from opportune.ops.telemetry.metrics import routes as metrics
from opportune.ops.telemetry.metrics.metrics import Metrics
from opportune.ops.telemetry.metrics.middleware import MetricsMiddleware
from opportune.ops.telemetry.process import WORKERS_VARIABLE
from opportune.ops.telemetry.sentry import SentryMiddleware, start_sentry
from opportune.ops.telemetry.traces.requirements import require_opentelemetry
from opportune.ops.telemetry.workers import get_workers
from opportune.runtime.observers import observed_by
from opportune.runtime.services import Services
from opportune.web.routing.router import router_of

if TYPE_CHECKING:
    from opportune.ops.telemetry.traces.tracing import Tracing


class Telemetry:
    """Metrics and traces of this process, or None if they are disabled."""

    def __init__(self, settings: Settings) -> None:
        self.metrics = Metrics() if settings.metrics_token.get_secret_value() else None
        self.tracing: Tracing | None = None


def add_telemetry(app: FastAPI) -> None:
    """Start error reports, and add the routes of the metrics."""
    if app.state.settings.sentry_dsn.get_secret_value():
        start_sentry(app.state.settings)
    if app.state.telemetry.metrics:
        router_of(app).include_flat(metrics.router)
        router_of(app).include_flat(status_api.router)


def telemetry_middleware(app: FastAPI) -> Iterator[Middleware]:
    settings, telemetry = app.state.settings, app.state.telemetry
    if settings.otel_exporter_otlp_endpoint:
        require_opentelemetry(settings)
        from opportune.ops.telemetry.traces.tracing import TracingMiddleware  # noqa: PLC0415 - after the check

        yield Middleware(
            TracingMiddleware, tracing=lambda: telemetry.tracing, trusts_traces=bool(settings.trusted_proxies)
        )
    if telemetry.metrics:
        yield Middleware(MetricsMiddleware, metrics=telemetry.metrics)
    if settings.sentry_dsn.get_secret_value():
        yield Middleware(SentryMiddleware)


@asynccontextmanager
async def telemetry_running(services: Services) -> AsyncIterator[None]:
    """Report errors and send traces of a server or worker until the block ends."""
    telemetry, settings = services.get(Telemetry), services.settings
    async with errors_reported(settings), process_traced(settings, services.database) as telemetry.tracing:
        yield


@asynccontextmanager
async def server_observed(app: FastAPI) -> AsyncIterator[None]:
    """Collect metrics of a server until the block ends."""
    metrics = app.state.telemetry.metrics
    async with AsyncExitStack() as stack:
        if metrics:
            stack.enter_context(observed_by(metrics))
            await stack.enter_async_context(metrics.watching())
        if os.environ.get(WORKERS_VARIABLE):
            await stack.enter_async_context(get_workers(app).listening())
        yield


@asynccontextmanager
async def process_traced(settings: Settings, database: Database) -> "AsyncIterator[Tracing | None]":
    """Trace the process until the block ends, if the settings name a collector."""
    if not settings.otel_exporter_otlp_endpoint:
        yield None
        return

    require_opentelemetry(settings)
    from opportune.ops.telemetry.traces.running import tracing  # noqa: PLC0415 - after the check

    async with tracing(settings, database) as active_tracing:
        yield active_tracing


@asynccontextmanager
async def errors_reported(settings: Settings) -> AsyncIterator[None]:
    """Report an exception that ends the block to Sentry if SENTRY_DSN is set, then send pending reports."""
    if not settings.sentry_dsn.get_secret_value():
        yield
        return

    sentry.start_sentry(settings)
    try:
        with sentry.reporting():
            yield
    finally:
        await sentry.flush()
