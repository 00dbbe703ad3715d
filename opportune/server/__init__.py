"""The server: uvicorn with connection limits, trusted proxies and a graceful shutdown."""

from opportune.server.shutdown import shutting_down

__all__ = ["shutting_down"]
