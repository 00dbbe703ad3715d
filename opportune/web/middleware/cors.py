"""Cross-origin resource sharing (CORS) for the API."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.config.settings import Settings

API_PREFIX = "/api/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID")
RESPONSE_HEADERS = ("ETag", "Location", "Retry-After", "X-Request-ID")


class ApiCorsMiddleware(CORSMiddleware):
    """Responds to preflight requests below /api and adds CORS headers for the origins of CORS_ORIGINS.

    Cookies are not allowed. Pages of other origins use bearer tokens.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API_PREFIX):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
