"""Tracing of a process, from its start to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry import metrics, trace

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.ops.telemetry.traces.outgoing import traced_clients
from opportune.ops.telemetry.traces.providers import Providers
from opportune.ops.telemetry.traces.statements import traced_statements
from opportune.ops.telemetry.traces.tracing import Tracing
from opportune.runtime.observers import observed_by


@asynccontextmanager
async def tracing(settings: Settings, database: Database) -> AsyncIterator[Tracing]:
    """Trace what this process does until the block ends; then send what is left."""
    providers = Providers(settings)
    # Spans of the project's own by `trace.get_tracer(__name__)` go the same way.
    trace.set_tracer_provider(providers.traces)
    metrics.set_meter_provider(providers.metrics)
    told = Tracing(providers)
    try:
        with traced_statements(database, told.tracer), traced_clients(told.tracer), observed_by(told):
            yield told
    finally:
        await providers.close()
