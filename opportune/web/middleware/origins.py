"""Hosts and origins of requests: allowed hosts, CORS, and protection from cross-site request forgery (CSRF).

The protection needs no tokens. Browsers send the origin of a request (`Sec-Fetch-Site`, `Origin`, `Referer`), which a
page cannot forge. Requests without these headers are allowed: they come from programs without a visitor's cookies,
because every browser since 2020 sends `Origin` with forms.
"""

from collections.abc import Awaitable
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.error_hints import csrf_hint
from opportune.web.errors.habits import ErrorHint
from opportune.web.errors.problem import problem
from opportune.web.machine_paths import MACHINE_PATHS
from opportune.web.routing.root_path import path_below_root

API_PREFIX = "/api/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RESPONSE_HEADERS = ("*", "ETag", "Location", "Retry-After", "X-Request-ID")
"""Headers that scripts can read. Old browsers do not know `*`."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
FOREIGN_PAGE = _l("This page belongs to another site.")
FOREIGN_FORM = _l("This form was sent from another site. Open the page here and send it again.")


class AllowedHostsMiddleware:
    """Responds 400 to unknown host names, which would otherwise appear in links.

    In development, the response lists the accepted names. Health checks and /metrics accept any name.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.trusted_host = TrustedHostMiddleware(_accept, allowed_hosts=settings.hosts or ["*"], www_redirect=False)
        self.refusal = "Invalid host header"
        if settings.environment == "development":
            accepted = ",".join(settings.hosts)
            self.refusal += f". Accepted: {accepted}. To accept more, set ALLOWED_HOSTS={accepted},NAME in .env."
        # Starlette parses the header of each request. Names with a port or in uppercase are left to it.
        names = [host for host in self.trusted_host.allowed_hosts if "*" not in host and ":" not in host]
        self.usual_hosts = {name.encode() for name in names}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_machine = scope["type"] == "http" and path_below_root(scope) in MACHINE_PATHS
        if is_machine or self.trusted_host.allow_any or self.has_usual_host(scope):
            return self.app(scope, receive, send)
        return self._check_host(scope, receive, send)

    async def _check_host(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = list[Message]()

        async def collect(message: Message) -> None:
            refusal.append(message)

        await self.trusted_host(scope, receive, collect)
        response = PlainTextResponse(self.refusal, 400) if refusal else self.app
        await response(scope, receive, send)

    def has_usual_host(self, scope: Scope) -> bool:
        """Return whether the first host header is one of the names."""
        return dict(reversed(scope.get("headers", ()))).get(b"host") in self.usual_hosts


async def _accept(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Send nothing, so that an empty response means an accepted host."""


class ApiCorsMiddleware(CORSMiddleware):
    """Responds to preflight requests below /api and adds CORS headers for the origins of CORS_ORIGINS.

    Cookies are not allowed. Pages of other origins use bearer tokens.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            app,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=RESPONSE_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and path_below_root(scope).startswith(API_PREFIX):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def with_cors(response: ASGIApp, settings: Settings) -> ASGIApp:
    """Return a response for outside the middleware, with the headers of CORS_ORIGINS."""
    return ApiCorsMiddleware(response, settings) if settings.cors_origins else response


def refuse_foreign_page(connection: HTTPConnection) -> None:
    """Refuse what `CsrfMiddleware` refuses, for routes of an existing application.

    Raises:
        HTTPException: Another site has sent the request.
    """
    check = CsrfMiddleware(connection.app, connection.app.state.settings)
    if connection.scope.get("method") not in SAFE_METHODS and check.is_foreign(connection.scope):
        raise HTTPException(403, FOREIGN_FORM)


class CsrfMiddleware:
    """Responds 403 to unsafe requests and WebSockets from another origin."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.base_url = settings.base_url
        self.cors_origins = frozenset(settings.cors_origins)
        self.shows_hints = settings.environment == "development"

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket" and self.is_foreign(scope):
            # Browsers send cookies with WebSockets from any page. Closing before acceptance responds with 403.
            return send({"type": "websocket.close", "code": 1008, "reason": str(FOREIGN_PAGE)})
        is_unsafe = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        if is_unsafe and self.is_foreign(scope):
            response = problem(Request(scope), 403, FOREIGN_FORM, hint=self._hint(Request(scope)))
            return response(scope, receive, send)
        return self.app(scope, receive, send)

    def _hint(self, request: Request) -> ErrorHint | None:
        if not self.shows_hints:
            return None

        form_url = request.headers.get("origin") or request.headers.get("referer") or "another site"
        return csrf_hint(form_url, f"{request.url.scheme}://{request.url.netloc}")

    def is_foreign(self, scope: Scope) -> bool:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        origin = headers.get("origin", "")
        is_bearer = headers.get("authorization", "").lower().startswith("bearer ")
        # Browsers never add a bearer token. The API also takes calls of CORS_ORIGINS, such as to sign in for a token.
        is_listed = origin and not self.cors_origins.isdisjoint({origin, "*"})
        if "cookie" not in headers and (is_bearer or (is_listed and path_below_root(scope).startswith(API_PREFIX))):
            return False
        site = headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none"):
            return True
        source = origin or headers.get("referer")
        if source is None or self._is_same_origin(source, headers.get("host", ""), scope["scheme"]):
            return False
        # A proxy may have changed the Host header. Without BASE_URL, the browser decides.
        return bool(self.base_url) or site != "same-origin"

    def _is_same_origin(self, source: str, host: str, scheme: str) -> bool:
        try:
            parts = urlsplit(source)
        except ValueError:  # no browser sends such a URL
            return False
        if self.base_url and f"{parts.scheme}://{parts.netloc}".lower() == self.base_url.lower():
            return True
        if parts.netloc.lower() != host.lower():
            return False
        # Attackers in a network can forge pages of http:. Behind a proxy that ends TLS, the scheme may be http here.
        is_https = scheme in ("https", "wss") or self.base_url.lower() == f"https://{host}".lower()
        return parts.scheme == "https" or (parts.scheme == "http" and not is_https)
