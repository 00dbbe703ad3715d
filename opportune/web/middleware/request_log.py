"""The outermost layer: a number for each request, one log line, security headers on every answer, no bare crash."""

import itertools
import logging
import re
import secrets
import time
from contextvars import ContextVar
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.settings import Settings
from opportune.storage.location import Bucket, parse_storage_url
from opportune.web.errors.handlers import on_crash
from opportune.web.rendering import flash

logger = logging.getLogger("opportune.request")

request_id: ContextVar[str] = ContextVar("request_id", default="")

# No secret: it only has to differ from those of other processes.
PROCESS_ID = secrets.token_hex(4)
requests = itertools.count(1)
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

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


def security_headers(style: str = "", images: str = "") -> tuple[Header, ...]:
    policy = CONTENT_SECURITY_POLICY | {
        "style-src": CONTENT_SECURITY_POLICY["style-src"] + style,
        "img-src": CONTENT_SECURITY_POLICY["img-src"] + images,
    }
    content = "; ".join(f"{name} {value}" for name, value in policy.items())
    headers = {**SECURITY_HEADERS, "Content-Security-Policy": content}
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


SECURITY_HEADER_NAMES = {name for name, _ in security_headers()}
HSTS_HEADER = (b"strict-transport-security", b"max-age=31536000")


class RequestLogMiddleware:
    """Pure ASGI: it adds to answers and never buffers a stream."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        # Put together once: every answer has them. Pictures in a bucket are shown from there.
        place = parse_storage_url(settings)
        images = f" {place.origin}" if isinstance(place, Bucket) else ""
        self.ours, self.styled = security_headers("", images), security_headers(" 'unsafe-inline'", images)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})  # before any copy of the scope: what is put there is for all of them
        number = _number(scope)
        token = request_id.set(number)
        answer = {"status": 0}
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                message["headers"] = self._complete(message, scope, number)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass  # nobody is left to be answered, and nothing is wrong
        except Exception as error:  # noqa: BLE001 - the edge of the process: every crash becomes an answer and a log line
            await _answer_crash(error, answer["status"], scope, receive, send_with_headers)
        finally:
            _log(scope, answer["status"], time.perf_counter() - began)
            request_id.reset(token)

    def _complete(self, start: Message, scope: Scope, number: str) -> list[Header]:
        """The headers of an answer with those that are missing."""
        headers = [header for header in start.get("headers", ()) if header[0] != b"x-request-id"]
        present = {name for name, _ in headers}
        path = scope["path"]
        ours = self.styled if path.startswith(INLINE_STYLE_PATHS) else self.ours
        headers += (
            ours
            if SECURITY_HEADER_NAMES.isdisjoint(present)
            else [header for header in ours if header[0] not in present]
        )
        if b"cache-control" not in present and not path.startswith("/static/"):
            headers.append((b"cache-control", _privacy(scope)))
        if self.settings.is_production and scope["scheme"] == "https" and HSTS_HEADER[0] not in present:
            headers.append(HSTS_HEADER)
        headers += flash.cookie(scope, start["status"], self.settings)
        headers.append((b"x-request-id", number.encode()))
        return headers


async def _answer_crash(error: Exception, status: int, scope: Scope, receive: Receive, send: Any) -> None:
    if status:  # too late for another answer: the server cuts the connection, which is the truth
        logger.error("failed while sending", exc_info=error)
        return
    response = on_crash(Request(scope), error)
    await response(scope, receive, send)


def _privacy(scope: Scope) -> bytes:
    """Shared caches and the back button after sign-out must not show one person's page to another."""
    known = any(name in (b"cookie", b"authorization") for name, _ in scope["headers"])
    return b"no-store" if known else b"private, no-cache"


def _number(scope: Scope) -> str:
    """The caller's request id where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if ACCEPTABLE_ID.fullmatch(given) else _new_number()
    return _new_number()


def _new_number() -> str:
    return f"{PROCESS_ID}{next(requests):08x}"


def _log(scope: Scope, status: int, seconds: float) -> None:
    # Without the query: it may hold a token.
    method, path, milliseconds = scope["method"], scope["path"], round(seconds * 1000, 1)
    level = logging.DEBUG if path.startswith(("/health", "/static")) else logging.INFO
    if logger.isEnabledFor(level):
        fields = {"method": method, "path": path, "status": status, "milliseconds": milliseconds}
        words = (method, path, status or "cut", milliseconds)
        # Without the search for the caller, which takes as long as the rest: it is always here.
        logger.handle(logger.makeRecord(logger.name, level, __file__, 0, "%s %s %s %s ms", words, None, extra=fields))
