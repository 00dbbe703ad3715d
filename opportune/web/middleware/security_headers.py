"""Headers by which browsers keep a visitor safe, on every answer: pages, files, streams, refusals and crashes."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.storage.location import Bucket, parse_storage_url

CONTENT_SECURITY_POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# These pages are not ours and set styles in attributes; scripts stay as strict as everywhere.
INLINE_STYLE_PATHS = ("/admin", "/api/docs")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

Header = tuple[bytes, bytes]


def security_headers(style: str = "", images: str = "", *, in_own_frames: bool = False) -> tuple[Header, ...]:
    """Headers of a page, with more sources of styles and images; `in_own_frames` lets this site's pages hold it."""
    policy = CONTENT_SECURITY_POLICY | {
        "style-src": CONTENT_SECURITY_POLICY["style-src"] + style,
        "img-src": CONTENT_SECURITY_POLICY["img-src"] + images,
    }
    headers = dict(SECURITY_HEADERS)
    if in_own_frames:
        policy["frame-ancestors"], headers["X-Frame-Options"] = "'self'", "SAMEORIGIN"
    headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


SECURITY_HEADER_NAMES = {name for name, _ in security_headers()}
HSTS_HEADER = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeadersMiddleware:
    """Adds the headers that an answer lacks. Pure ASGI: it never buffers a stream."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.is_production, self.base_url = settings.is_production, settings.base_url
        # Put together once: every answer has them. Pictures in a bucket are shown from there.
        place = parse_storage_url(settings)
        images = f" {place.origin}" if isinstance(place, Bucket) else ""
        self.strict, self.inline_styles = security_headers("", images), security_headers(" 'unsafe-inline'", images)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(message, scope)
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _complete(self, start: Message, scope: Scope) -> list[Header]:
        headers = list(start.get("headers", ()))
        present = {name for name, _ in headers}
        path = scope["path"]
        ours = self.inline_styles if path.startswith(INLINE_STYLE_PATHS) else self.strict
        if not SECURITY_HEADER_NAMES.isdisjoint(present):
            ours = tuple(header for header in ours if header[0] not in present)
        headers += ours
        if b"cache-control" not in present and not path.startswith("/static/"):
            headers.append((b"cache-control", _privacy(scope)))
        if self._is_on_tls(scope) and HSTS_HEADER[0] not in present:
            headers.append(HSTS_HEADER)
        return headers

    def _is_on_tls(self, scope: Scope) -> bool:
        """BASE_URL decides: behind a proxy that ends TLS, the request itself may look like plain HTTP."""
        scheme = self.base_url.partition(":")[0] or scope["scheme"]
        return self.is_production and scheme == "https"


def _privacy(scope: Scope) -> bytes:
    """Shared caches and the back button after sign-out must not show one person's page to another."""
    known = any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])
    return b"no-store" if known else b"private, no-cache"
