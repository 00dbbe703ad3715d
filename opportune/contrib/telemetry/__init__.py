"""Metrics, traces and error reports. Their libraries are only imported if the settings enable them."""

INSTALL_TELEMETRY = "python3 oppman.py install telemetry"
"""Command that installs the libraries for traces and error reports."""
