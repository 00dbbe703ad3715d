"""Refusal of unknown host names, which would otherwise appear in links."""

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.web.endpoints.health import MACHINE_PATHS


class AllowedHostsMiddleware(TrustedHostMiddleware):
    """Responds 400 to unknown host names. Health checks and /metrics accept any name."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(app, allowed_hosts=settings.hosts or ["*"], www_redirect=False)
        # Starlette parses the header of each request. Names with a port or in uppercase are left to it.
        names = [host for host in self.allowed_hosts if "*" not in host and ":" not in host]
        self.usual_headers = {(b"host", name.encode()) for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_machine = scope["type"] == "http" and scope["path"] in MACHINE_PATHS
        if is_machine or self.has_usual_host(scope):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    def has_usual_host(self, scope: Scope) -> bool:
        """Return whether the first host header is one of the names."""
        for header in scope.get("headers", ()):
            if header[0] == b"host":
                return header in self.usual_headers
        return False
