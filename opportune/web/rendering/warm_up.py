"""Slow work of the first requests, done in threads when the site starts."""

import asyncio
import logging
import mimetypes
import threading

from fastapi import FastAPI

from opportune.web.rendering.static_files import ICONS_FILE, assets

logger = logging.getLogger(__name__)


async def warm_up(app: FastAPI) -> None:
    """Read what the first page needs, and start a thread for what need not delay the first response."""
    await asyncio.to_thread(_read_files)
    # Unlike `asyncio.to_thread`, a daemon thread does not delay a reload.
    threading.Thread(target=_work_in_background, args=(app,), name="warm-up", daemon=True).start()


def _read_files() -> None:
    assets.url(ICONS_FILE)
    mimetypes.guess_type(ICONS_FILE)  # the first call reads the system's list of types


def _work_in_background(app: FastAPI) -> None:
    assets.hash_files()
    if app.state.settings.is_production:  # which does not publish the OpenAPI document
        return
    try:
        app.openapi()
    except Exception:  # the request for the document reports it
        logger.debug("The OpenAPI document cannot be built.", exc_info=True)
