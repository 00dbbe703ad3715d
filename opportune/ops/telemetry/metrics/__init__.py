"""Numbers in Prometheus' text format, at `/metrics` for whoever has METRICS_TOKEN."""
