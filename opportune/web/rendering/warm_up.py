"""Work at startup that would otherwise slow down the first requests."""

import asyncio
import logging
import mimetypes
import threading
import time
from collections.abc import Iterable

from fastapi import FastAPI

from opportune.config.languages import ENGLISH, find_language
from opportune.i18n.languages import content_languages
from opportune.web.static import typeface
from opportune.web.static.files import ICONS_FILE, LOGO_FILE, TABLER_SHEETS, assets

DELAY_SECONDS = 1
"""Seconds until the slower work begins, which would otherwise delay the first page."""

logger = logging.getLogger(__name__)


async def warm_up(app: FastAPI) -> None:
    """Read the files of the first page, and start a thread for slower work that the page does not need."""
    await asyncio.to_thread(_read_files)
    # Unlike `asyncio.to_thread`, a daemon thread does not delay a reload.
    threading.Thread(target=_work_in_background, args=(app,), name="warm-up", daemon=True).start()


def _read_files() -> None:
    assets.url(ICONS_FILE)
    assets.url(LOGO_FILE)
    mimetypes.guess_type(ICONS_FILE)  # the first call reads the system's list of types


def cut_files(directions: Iterable[str] = TABLER_SHEETS, *, sources_change: bool = False) -> None:
    """Write the typeface and the style sheets that pages use. An image calls this when it is built."""
    typeface.cut()
    assets.prepare_styles(directions, sources_change=sources_change)


def _work_in_background(app: FastAPI) -> None:
    time.sleep(DELAY_SECONDS)
    settings = app.state.settings
    directions = {(find_language(code) or ENGLISH).direction for code in content_languages(settings)}
    cut_files(directions, sources_change=not settings.is_production)
    assets.hash_files(directions)
    if settings.is_production:  # production does not publish the OpenAPI document
        return
    try:
        app.openapi()
    except Exception:  # a request for the document reports the error
        logger.debug("The OpenAPI document cannot be built.", exc_info=True)
