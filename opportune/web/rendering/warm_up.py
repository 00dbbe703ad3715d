"""Work at startup that would otherwise slow down the first requests."""

import asyncio
import logging
import mimetypes
import threading

from fastapi import FastAPI

from opportune.config.languages import ENGLISH, find_language
from opportune.i18n.languages import content_languages
from opportune.web.static import typeface
from opportune.web.static.files import ICONS_FILE, LOGO_FILE, assets

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


def _work_in_background(app: FastAPI) -> None:
    typeface.cut()
    assets.prepare_styles()
    settings = app.state.settings
    assets.hash_files({(find_language(code) or ENGLISH).direction for code in content_languages(settings)})
    if settings.is_production:  # production does not publish the OpenAPI document
        return
    try:
        app.openapi()
    except Exception:  # a request for the document reports the error
        logger.debug("The OpenAPI document cannot be built.", exc_info=True)
