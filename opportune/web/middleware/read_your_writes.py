"""Who has just written reads from the writer's server: a replica may not have it yet."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.db.drivers.replica import reads_fresh
from opportune.web.middleware.csrf import SAFE_METHODS

REPLICA_LAG_SECONDS = 5
"""Seconds after which a replica is expected to have what was written."""


class ReadYourWritesMiddleware:
    """Marks the browser that sends an unsafe request, and has what it asks next read afresh. Pure ASGI.

    The mark is a cookie that says nothing of anybody. Who forges it reads as if there were no replica.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        name, secure = ("__Host-wrote", "; Secure") if settings.has_secure_cookies else ("wrote", "")
        self._mark = f"{name}=1".encode()
        self._cookie = f"{name}=1; Max-Age={REPLICA_LAG_SECONDS}; Path=/; HttpOnly; SameSite=Lax{secure}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] not in SAFE_METHODS:
            await self._read_afresh(scope, receive, self._marking(send))
        elif self._is_marked(scope):
            await self._read_afresh(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _read_afresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = reads_fresh.set(True)
        try:
            await self.app(scope, receive, send)
        finally:
            reads_fresh.reset(token)

    def _marking(self, send: Send) -> Send:
        # Whatever the answer: what has failed may have been written nevertheless.
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", self._cookie)]
            await send(message)

        return send_with_cookie

    def _is_marked(self, scope: Scope) -> bool:
        # Not parsed: a cookie of a longer name costs no more than a read that need not have been fresh.
        return any(name == b"cookie" and self._mark in value for name, value in scope["headers"])
