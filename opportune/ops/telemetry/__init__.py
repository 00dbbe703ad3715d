"""Metrics, traces and error reports. Their libraries are only imported if the settings enable them."""

INSTALL_TELEMETRY = "python3 -m pip install --no-deps --require-hashes -r requirements/telemetry.lock"
"""Command that installs the libraries for traces and error reports."""
