"""OpenTelemetry's SDK, configured by its environment variables `OTEL_…`."""

import os

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from opportune import __version__
from opportune.config.settings import Settings
from opportune.contrib.telemetry.process import resident_memory_bytes
from opportune.contrib.telemetry.shutdown import flush_seconds, run_before_shutdown

MAX_FLUSH_SECONDS = 3.0
"""Maximum time to send pending spans and metrics at shutdown."""


class Providers:
    """Tracer and meter, and the threads that send their data."""

    def __init__(self, settings: Settings) -> None:
        attributes = {"service.version": __version__, "deployment.environment.name": settings.environment}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            attributes["service.name"] = settings.site_name
        resource = Resource.create(attributes)
        self.traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            self.traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        has_metrics = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if has_metrics else []
        self.metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self.tracer = self.traces.get_tracer("opportune", __version__)
        self.meter = self.metrics.get_meter("opportune", __version__)
        self.meter.create_observable_gauge(
            "process.memory.usage",
            [lambda _: [Observation(resident_memory_bytes())]],
            unit="By",
            description="Resident memory.",
        )

    async def close(self) -> None:
        """Send pending spans and metrics."""

        def close() -> None:
            self.traces.shutdown()
            self.metrics.shutdown()

        await run_before_shutdown(close, flush_seconds(MAX_FLUSH_SECONDS))
