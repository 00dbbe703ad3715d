"""Traces and metrics with OpenTelemetry, if OTEL_EXPORTER_OTLP_ENDPOINT names a collector."""
