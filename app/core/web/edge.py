"""The outermost layer: a number for each request, one log line, security headers on every answer, no bare crash."""

import logging
import re
import secrets
import time
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.settings import Settings
from app.core.web.problems import on_crash

logger = logging.getLogger("app.request")

request_id: ContextVar[str] = ContextVar("request_id", default="")

ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

POLICY = {
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
STYLED_BY_OTHERS = ("/admin", "/api/docs")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def content_security_policy(path: str) -> str:
    policy = dict(POLICY)
    if path.startswith(STYLED_BY_OTHERS):
        policy["style-src"] += " 'unsafe-inline'"
    return "; ".join(f"{name} {value}" for name, value in policy.items())


class Edge:
    """Pure ASGI: it adds to answers and never buffers a stream."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = _number(scope)
        token = request_id.set(number)
        answer = {"status": 0}
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                self._add_headers(MutableHeaders(scope=message), scope, number)
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

    def _add_headers(self, headers: MutableHeaders, scope: Scope, number: str) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", content_security_policy(scope["path"]))
        if not scope["path"].startswith("/static/"):
            headers.setdefault("Cache-Control", _privacy(scope))
        if self.settings.is_production and scope["scheme"] == "https":
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers["X-Request-ID"] = number


async def _answer_crash(error: Exception, status: int, scope: Scope, receive: Receive, send: Any) -> None:
    if status:  # too late for another answer: the server cuts the connection, which is the truth
        logger.error("failed while sending", exc_info=error)
        return
    response = on_crash(Request(scope), error)
    await response(scope, receive, send)


def _privacy(scope: Scope) -> str:
    """Shared caches and the back button after sign-out must not show one person's page to another."""
    shown = {name for name, _ in scope["headers"]}
    return "no-store" if shown & {b"cookie", b"authorization"} else "private, no-cache"


def _number(scope: Scope) -> str:
    """The caller's request id where it is harmless, else a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if ACCEPTABLE_ID.fullmatch(given) else secrets.token_hex(8)


def _log(scope: Scope, status: int, seconds: float) -> None:
    # Without the query: it may hold a token.
    method, path, milliseconds = scope["method"], scope["path"], round(seconds * 1000, 1)
    fields = {"method": method, "path": path, "status": status, "milliseconds": milliseconds}
    level = logging.DEBUG if path.startswith(("/health", "/static")) else logging.INFO
    logger.log(level, "%s %s %s %s ms", method, path, status or "cut", milliseconds, extra=fields)
