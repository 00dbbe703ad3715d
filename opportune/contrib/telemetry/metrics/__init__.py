"""Metrics in Prometheus' text format at `/metrics`, protected by METRICS_TOKEN."""
