"""Refusal of unknown host names, which would otherwise appear in links."""

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.web.endpoints.health import MACHINE_PATHS


class AllowedHostsMiddleware(TrustedHostMiddleware):
    """Responds 400 to unknown host names. Health checks and /metrics accept any name."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(app, allowed_hosts=settings.hosts or ["*"], www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in MACHINE_PATHS:
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)
