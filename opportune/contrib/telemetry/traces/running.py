"""Tracing during the lifetime of a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import metrics, trace

from opportune.config.settings import Settings
from opportune.contrib.telemetry.traces.outgoing import traced_clients
from opportune.contrib.telemetry.traces.providers import Providers
from opportune.contrib.telemetry.traces.statements import traced_statements
from opportune.contrib.telemetry.traces.tracing import Tracing
from opportune.db.database import Database
from opportune.services.observers import observed_by


@asynccontextmanager
async def tracing(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Trace this process until the block ends, then send pending spans."""
    providers = Providers(settings)
    # Also exports spans that the project creates with `trace.get_tracer(__name__)`.
    trace.set_tracer_provider(providers.traces)
    metrics.set_meter_provider(providers.metrics)
    observer = Tracing(providers, trusts_traces=bool(settings.trusted_proxies))
    try:
        with traced_statements(database, observer.tracer), traced_clients(observer.tracer), observed_by(observer):
            yield
    finally:
        await providers.close()
