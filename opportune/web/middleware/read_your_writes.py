"""Read-your-writes consistency: after a change, a browser reads from the primary instead of a lagging replica."""

from collections.abc import Sequence
from math import ceil

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.context import use_value
from opportune.db.drivers.replica import MEASUREMENT_SECONDS, on_first_write, reads_fresh
from opportune.web.cookies import may_have_cookie
from opportune.web.middleware.origins import SAFE_METHODS


class ReadYourWritesMiddleware:
    """Pure ASGI middleware that marks browsers with a short-lived cookie when they send an unsafe request.

    Requests with the cookie read from the primary. It holds no data, so forging it only bypasses the replica.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        seconds = ceil(settings.database_replica_lag) + MEASUREMENT_SECONDS  # a used replica has the change then
        self._mark = b"__Host-wrote=1" if settings.has_secure_cookies else b"wrote=1"
        secure = "; Secure" if settings.has_secure_cookies else ""
        self._cookie = self._mark + f"; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] not in SAFE_METHODS:
            await self._read_from_primary(scope, receive, self._with_cookie(send, [True]))
        elif may_have_cookie(scope, self._mark):
            await self._read_from_primary(scope, receive, send)
        else:
            await self._watch_writes(scope, receive, send)

    async def _watch_writes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request that usually only reads. A sign-in with a link or another site also writes."""
        writes: list[bool] = []
        with use_value(on_first_write, lambda: writes.append(True)), use_value(reads_fresh, False):
            await self.app(scope, receive, self._with_cookie(send, writes))

    async def _read_from_primary(self, scope: Scope, receive: Receive, send: Send) -> None:
        with use_value(reads_fresh, True):
            await self.app(scope, receive, send)

    def _with_cookie(self, send: Send, writes: Sequence[bool]) -> Send:
        # Also with error responses: a failed request may have written something.
        async def send_with_cookie(message: Message) -> None:
            if writes and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", self._cookie)]
            await send(message)

        return send_with_cookie
