"""Serving: uvicorn with limits of its own, behind known proxies, and an end in good order."""

from opportune.server.shutdown import shutting_down

__all__ = ["shutting_down"]
