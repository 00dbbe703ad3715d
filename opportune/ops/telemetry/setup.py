"""Switches on what the settings ask for; called when the application is made and when it starts."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.ops.telemetry import sentry
from opportune.ops.telemetry import status_routes as status
from opportune.ops.telemetry.metrics import routes as metrics
from opportune.ops.telemetry.metrics.metrics import Metrics
from opportune.ops.telemetry.metrics.middleware import MetricsMiddleware
from opportune.ops.telemetry.process import WORKERS_VARIABLE
from opportune.ops.telemetry.sentry import SentryMiddleware, start_sentry
from opportune.ops.telemetry.traces.requirements import require_opentelemetry
from opportune.ops.telemetry.workers import workers_of
from opportune.runtime.observers import observed_by
from opportune.web.routing import Router

if TYPE_CHECKING:
    from opportune.ops.telemetry.traces.tracing import Tracing


def add_telemetry(app: FastAPI, router: Router, settings: Settings) -> None:
    """Add what sees requests, outside of all other middleware."""
    if settings.sentry_dsn.get_secret_value():
        start_sentry(settings)
        app.add_middleware(SentryMiddleware)
    app.state.metrics = None
    if settings.metrics_token.get_secret_value():
        app.state.metrics = Metrics()
        app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
        router.include_flat(metrics.router)
        router.include_flat(status.router)
    app.state.tracing = None
    if settings.otel_exporter_otlp_endpoint:
        require_opentelemetry(settings)
        from opportune.ops.telemetry.traces.tracing import TracingMiddleware  # noqa: PLC0415 - as above

        app.add_middleware(TracingMiddleware, state=app.state, trusts_traces=bool(settings.trusted_proxies))


@asynccontextmanager
async def telemetry_running(app: FastAPI) -> AsyncIterator[None]:
    """Tell of what the site does until the block ends."""
    metrics = app.state.metrics
    async with AsyncExitStack() as stack:
        if metrics:
            stack.enter_context(observed_by(metrics))
            await stack.enter_async_context(metrics.watching())
        app.state.tracing = await stack.enter_async_context(tracing_of(app.state.settings, app.state.database))
        if os.environ.get(WORKERS_VARIABLE):
            await stack.enter_async_context(workers_of(app).listening())
        yield


@asynccontextmanager
async def tracing_of(settings: Settings, database: Database) -> "AsyncIterator[Tracing | None]":
    """Trace what a process does, where the settings name a collector: the site's, or a worker's."""
    if not settings.otel_exporter_otlp_endpoint:
        yield None
        return

    require_opentelemetry(settings)
    from opportune.ops.telemetry.traces.running import tracing  # noqa: PLC0415 - as above

    async with tracing(settings, database) as told:
        yield told


@asynccontextmanager
async def errors_reported(settings: Settings) -> AsyncIterator[None]:
    """Report to Sentry, where SENTRY_DSN is set, what ends the block, and at its end what is not sent yet."""
    if not settings.sentry_dsn.get_secret_value():
        yield
        return

    sentry.start_sentry(settings)
    try:
        with sentry.reporting():
            yield
    finally:
        await sentry.flush()
