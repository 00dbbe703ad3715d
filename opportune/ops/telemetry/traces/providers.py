"""OpenTelemetry's SDK, set up by its own variables OTEL_…: what they do not say, it decides as it does everywhere."""

import asyncio
import os
import threading
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from opportune import __version__
from opportune.config.hosts import shutdown_seconds
from opportune.config.settings import Settings
from opportune.ops.telemetry.process import resident_memory_bytes

MAX_FLUSH_SECONDS = 3.0
"""Seconds at the end for what is not sent yet; less where the host gives less."""


class Providers:
    """What makes spans and instruments, and sends them in threads of its own."""

    def __init__(self, settings: Settings) -> None:
        given = {"service.version": __version__, "deployment.environment.name": settings.environment}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            given["service.name"] = settings.site_name
        resource = Resource.create(given)
        self.traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        if os.environ.get("OTEL_TRACES_EXPORTER") != "none":
            self.traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        is_wanted = os.environ.get("OTEL_METRICS_EXPORTER") != "none"
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if is_wanted else []
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
        """Send what is left, as far as the host gives time for it."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self.traces.shutdown()
            self.metrics.shutdown()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(ended.set)

        # A thread that the end of the process does not wait for: a collector may be silent.
        threading.Thread(target=close, name="flush traces", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(MAX_FLUSH_SECONDS, shutdown_seconds() / 3)):
                await ended.wait()
