"""Metrics, traces and error reports. Their libraries are only imported if the settings enable them."""

from opportune.project.current import OPPMAN

INSTALL_TELEMETRY = f"{OPPMAN} install telemetry"
"""Command that installs the libraries for traces and error reports."""
