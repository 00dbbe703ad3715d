"""Lights of the status page for the endpoints of language models."""

import asyncio
import socket
from urllib.parse import urlsplit

from fastapi import FastAPI

from opportune.config.settings import Settings
from opportune.contrib.llm.providers.factory import models_of
from opportune.feature import HealthLight
from opportune.i18n import gettext as _

CONNECT_TIMEOUT_SECONDS = 3


async def endpoint_lights(app: FastAPI) -> list[HealthLight]:
    """Open and close a connection to each endpoint. No model is called, because that could cost money."""
    settings: Settings = app.state.settings
    await app.state.llm.refresh()
    models = models_of(settings) or app.state.llm.models  # or the model that a superuser selected in the admin
    urls = dict.fromkeys(model.base_url for model in models if model.base_url)
    return await asyncio.gather(*map(_check_endpoint, urls))


async def _check_endpoint(url: str) -> HealthLight:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            _reader, writer = await asyncio.open_connection(host, port)
    except socket.gaierror:
        return HealthLight(host, _("has no address"), "fault", hint=_("Check the address of the model's endpoint."))
    except (OSError, TimeoutError):
        hint = _(
            "Check that it runs and that the host allows outgoing connections. Until then, fallback models answer."
        )
        return HealthLight(host, _("cannot be reached at port %(port)s", port=port), "fault", hint=hint)
    writer.close()
    return HealthLight(host, _("can be reached"))
