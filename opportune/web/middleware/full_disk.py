"""Responds to requests that fill the disk, such as with a large upload that is buffered."""

import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.db.errors import is_full
from opportune.web.errors.handlers import problem

logger = logging.getLogger(__name__)


class FullDiskMiddleware:
    """Returns 507 for an `OSError` of a full disk, unless the response has started. Pure ASGI.

    An exception handler for `OSError` cannot tell: Starlette replaces each error of a handled type by a `RuntimeError`
    once the response has started.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def note_start(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except OSError as error:
            if has_started or scope["type"] != "http" or not is_full(error):
                raise
            logger.error("disk full: %s", error)  # noqa: TRY400 - a traceback would say no more
            await problem(Request(scope), 507)(scope, receive, send)
