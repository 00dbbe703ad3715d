"""A number for each request, one log line, and no bare crash."""

import itertools
import logging
import re
import secrets
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.status import WS_1008_POLICY_VIOLATION, WS_1011_INTERNAL_ERROR
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.db.change_origin import ChangeOrigin, current_origin
from opportune.runtime.observers import traceparent
from opportune.web.errors.handlers import on_crash
from opportune.web.health import MACHINE_PATHS
from opportune.web.security_log import log_refused_request

logger = logging.getLogger("opportune.request")

request_id: ContextVar[str] = ContextVar("request_id", default="")

# No secret: it only has to differ from those of other processes.
PROCESS_ID = secrets.token_hex(4)
requests = itertools.count(1)
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestLogMiddleware:
    """Logs how a request ended, and answers for one that crashed. Pure ASGI: it never buffers a stream."""

    def __init__(self, app: ASGIApp, *, trusts_traces: bool = False) -> None:
        """`trusts_traces`: whether a proxy of ours is in front, whose traces are gone on with."""
        self.app = app
        self.trusts_traces = trusts_traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _websocket(self.app, scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number = _number(scope)
        token = request_id.set(number)
        trace = traceparent.set(traceparent.get() or (given_traceparent(scope) if self.trusts_traces else ""))
        origin = current_origin.set(ChangeOrigin(_channel(scope["path"]), scope))
        status = 0
        began = time.perf_counter()

        async def send_with_number(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = (header for header in message.get("headers", ()) if header[0] != b"x-request-id")
                message["headers"] = [*headers, (b"x-request-id", number.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_number)
        except ClientDisconnect:
            pass  # nobody is left to be answered, and nothing is wrong
        except Exception as error:  # noqa: BLE001 - the edge of the process: every crash becomes an answer and a log line
            await _answer_crash(error, status, scope, receive, send_with_number)
        finally:
            _log(scope, status, time.perf_counter() - began)
            log_refused_request(scope, status)
            request_id.reset(token)
            current_origin.reset(origin)
            traceparent.reset(trace)


async def _websocket(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Log how a WebSocket ended, and close one whose route crashed after it was accepted."""
    token, began, is_accepted, code = request_id.set(_number(scope)), time.perf_counter(), False, 0

    async def send_and_note(message: Message) -> None:
        nonlocal is_accepted, code
        is_accepted = is_accepted or message["type"] == "websocket.accept"
        code = message.get("code", 1000) if message["type"] == "websocket.close" else code
        await send(message)

    async def receive_and_note() -> Message:
        nonlocal code
        message = await receive()
        code = message.get("code", 1005) if message["type"] == "websocket.disconnect" else code
        return message

    try:
        await app(scope, receive_and_note, send_and_note)
    except Exception:
        if not is_accepted:
            raise  # the server logs it and answers 500
        logger.exception("unhandled error")
        with suppress(Exception):  # the client may be gone
            await send_and_note({"type": "websocket.close", "code": WS_1011_INTERNAL_ERROR})
    finally:
        connection = {**scope, "method": "WEBSOCKET"}
        _log(connection, code, time.perf_counter() - began)
        if not is_accepted and code == WS_1008_POLICY_VIOLATION:  # which the client sees as a 403
            log_refused_request(connection, 403)
        request_id.reset(token)


async def _answer_crash(error: Exception, status: int, scope: Scope, receive: Receive, send: Any) -> None:
    if status:  # too late for another answer: the server cuts the connection, which is the truth
        logger.error("failed while sending", exc_info=error)
        return
    response = on_crash(Request(scope), error)
    await response(scope, receive, send)


def _channel(path: str) -> str:
    first = path.split("/", 2)[1]
    return first if first in ("admin", "api") else "page"


def _number(scope: Scope) -> str:
    """The caller's request id where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if ACCEPTABLE_ID.fullmatch(given) else _new_number()
    return _new_number()


def given_traceparent(scope: Scope) -> str:
    """The caller's trace, where it is one; else nothing."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            given: str = value.decode("latin-1")
            return given if TRACEPARENT.fullmatch(given) else ""
    return ""


def _new_number() -> str:
    return f"{PROCESS_ID}{next(requests):08x}"


def _log(scope: Scope, status: int, seconds: float) -> None:
    # Without the query: it may hold a token.
    method, path, milliseconds = scope["method"], scope["path"], round(seconds * 1000, 1)
    is_quiet = path.startswith(("/health", "/static")) or (path in MACHINE_PATHS and status != 401)  # a guessed token
    level = logging.DEBUG if is_quiet else logging.INFO
    if logger.isEnabledFor(level):
        fields = {"method": method, "path": path, "status": status, "milliseconds": milliseconds}
        words = (method, path, status or "cut", milliseconds)
        # Without the search for the caller, which takes as long as the rest: it is always here.
        logger.handle(logger.makeRecord(logger.name, level, __file__, 0, "%s %s %s %s ms", words, None, extra=fields))
