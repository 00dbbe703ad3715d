"""Paths that hosts and monitoring request. The supervisor of workers needs them, and imports little."""

# Leapcell polls these paths. The second spelling is in its older examples.
LEAPCELL_PATHS = ("/kaithhealth", "/kaithheathcheck")
HEALTH_PATHS = {"/health", "/health/live", "/health/ready", *LEAPCELL_PATHS}
METRICS_PATH = "/metrics"
STATUS_PATH = "/metrics/status"
MACHINE_PATHS = {*HEALTH_PATHS, METRICS_PATH, STATUS_PATH}
"""Paths for machines: any host name is accepted, and requests are logged only for debugging."""
