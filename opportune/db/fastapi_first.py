"""Imports FastAPI as the adapter would have it: for the modules that are imported before anything else does it."""

from opportune.speedups import speedup

speedup("opportune.dataclasses_adapter", "install", lambda: None)()
speedup("opportune.db.drivers.declarative_adapter", "install", lambda: None)()
speedup("opportune.fastapi_import_adapter", "install", lambda: None)()
speedup("opportune.httpx_adapter", "install", lambda: None)()
