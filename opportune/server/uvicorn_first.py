"""Imports uvicorn as the adapter would have it: for the modules that are imported before anything else does it."""

from opportune.speedups import speedup

speedup("opportune.server.uvicorn_import_adapter", "install", lambda: None)()
