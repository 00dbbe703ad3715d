"""Lights of the status page for the endpoints of language models."""

import asyncio
import socket
from urllib.parse import urlsplit

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.feature import HealthLight
from opportune.llm.providers.factory import models_of

CONNECT_TIMEOUT_SECONDS = 3


async def endpoint_lights(app: FastAPI) -> list[HealthLight]:
    """Open and close a connection to each endpoint. No model is called, because that could cost money."""
    settings: Settings = app.state.settings
    await app.state.llm.refresh()
    models = models_of(settings) or app.state.llm.models  # or the model that a superuser selected in the admin
    addresses = dict.fromkeys(model.base_url for model in models if model.base_url)
    return await asyncio.gather(*map(_check_endpoint, addresses))


async def _check_endpoint(address: str) -> HealthLight:
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except socket.gaierror:
        return HealthLight(host, "has no address", "fault", hint="Check the address of the model's endpoint.")
    except (OSError, TimeoutError):
        hint = "Check that it runs and that the host allows outgoing connections. Until then, fallback models answer."
        return HealthLight(host, f"cannot be reached at port {port}", "fault", hint=hint)
    writer.close()
    return HealthLight(host, "can be reached")
