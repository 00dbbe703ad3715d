"""Set up the metrics, traces and error reports enabled in the settings."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, distribution

from dotenv import dotenv_values
from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.contrib.telemetry import INSTALL_TELEMETRY, pages, sentry
from opportune.contrib.telemetry.metrics import Metrics
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.workers import get_workers
from opportune.errors import SettingsError
from opportune.project.modules import settings_class
from opportune.server.workers import WORKERS_VARIABLE
from opportune.services import Services
from opportune.services.observers import observed_by
from opportune.web.routing.router import router_of

EXPORTER = "opentelemetry-exporter-otlp-proto-http"
"""Package that sends traces and metrics. It requires OpenTelemetry's SDK."""


class Telemetry:
    """Telemetry of a server or worker. Without METRICS_TOKEN, `metrics` is None."""

    def __init__(self, settings: Settings) -> None:
        """Check the settings of OpenTelemetry before the process starts."""
        telemetry = settings.of(TelemetrySettings)
        self.metrics = Metrics() if telemetry.metrics_token.get_secret_value() else None
        if telemetry.otel_exporter_otlp_endpoint:
            _prepare_opentelemetry(telemetry.otel_exporter_otlp_endpoint)


def _prepare_opentelemetry(endpoint: str) -> None:
    """Copy the endpoint and the variables `OTEL_…` of `.env` into the environment, where OpenTelemetry reads them."""
    file = settings_class().model_config.get("env_file")
    values: Mapping[str, str | None] = dotenv_values(file) if isinstance(file, str | os.PathLike) else {}
    for name, value in values.items():
        if name.startswith("OTEL_") and value is not None:
            os.environ.setdefault(name, value)
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") == "grpc":
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: set it to http/protobuf and use its port, often 4318.")
    try:
        distribution(EXPORTER)
    except PackageNotFoundError:
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry's SDK. Install it: {INSTALL_TELEMETRY}"
        ) from None


def add_telemetry(app: FastAPI) -> None:
    """Start error reports, and add the routes of the metrics."""
    if app.state.settings.of(TelemetrySettings).sentry_dsn.get_secret_value():
        sentry.start_sentry(app.state.settings)
    if app.state.telemetry.metrics:
        router_of(app).include_flat(pages.router)


@asynccontextmanager
async def telemetry_running(services: Services) -> AsyncIterator[None]:
    """Report errors and send traces of a server or worker until the block ends."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sentry.errors_reported(services.settings))
        if services.settings.of(TelemetrySettings).otel_exporter_otlp_endpoint:
            from opportune.contrib.telemetry.tracing import tracing  # sites without traces do not load it

            await stack.enter_async_context(tracing(services.settings, services.database))
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
