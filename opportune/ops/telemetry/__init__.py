"""How a site tells of itself to whoever looks after it: metrics, traces, errors. What is off is not imported."""

INSTALL_TELEMETRY = "python3 -m pip install --no-deps --require-hashes -r requirements-telemetry.lock"
"""What brings the libraries of traces and reports of errors into an environment that is not of our making."""
