"""Traces and metrics by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector."""
