"""Sends the cookie with what is to be said on the next page, and those that do not depend on what is answered."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.web.answer_cookies import answer_cookies
from opportune.web.rendering import flash


class FlashMiddleware:
    """Keeps the browser's cookie as `flash` and `flashed` have left it, also when the request crashed. Pure ASGI."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})  # before any copy of the scope: what is put there is for all of them

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                added = [*answer_cookies(scope, headers), *flash.cookie(scope, message["status"], self.settings)]
                message["headers"] = [*headers, *added] if added else headers
            await send(message)

        await self.app(scope, receive, send_with_cookie)
