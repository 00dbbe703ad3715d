"""Outermost middleware of the framework."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import Token
from datetime import tzinfo
from traceback import walk_tb
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.status import WS_1003_UNSUPPORTED_DATA, WS_1008_POLICY_VIOLATION, WS_1011_INTERNAL_ERROR
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.context import use_value
from opportune.db.hooks.change_origin import ChangeOrigin, current_origin
from opportune.db.sessions.dependencies import SITE, on_site
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.languages import content_languages, current_language, current_site_languages
from opportune.services.observers import ObservedRequest, observed_request, observers
from opportune.services.trace_context import traceparent
from opportune.web.cookies import cookie_headers
from opportune.web.errors.handlers import RETRY_HEADERS, hint_in_development, on_crash, on_full_disk
from opportune.web.errors.problem import problem
from opportune.web.health import is_stopping
from opportune.web.language import LanguageOfRequest
from opportune.web.middleware.origins import with_cors
from opportune.web.middleware.request_log import client_traceparent, log_request, request_id, request_id_of
from opportune.web.middleware.security_headers import SecurityHeaders
from opportune.web.middleware.security_log import log_refused_request
from opportune.web.rendering import flash
from opportune.web.routing.root_path import path_below_root
from opportune.web.time_zone import current_zone, site_zone, zone_of_request

logger = logging.getLogger("opportune.request")

STOPPED = _l(
    "The site stopped before it could respond. Your change may have been saved. Check this before you try again."
)


class RequestMiddleware:
    """Sets request id, time zone and response headers, logs the request, and responds to crashes.

    Only middleware of features runs outside it. It is a single pure ASGI middleware, because each layer around `send`
    slows down every request. It never buffers a stream.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.zone = site_zone(settings)
        self.language = LanguageOfRequest(settings)
        self.content_languages = content_languages(settings)
        self.security_headers = SecurityHeaders(settings)
        self.trusts_traces = bool(settings.trusted_proxies)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] not in ("http", "websocket"):
            return self.app(scope, receive, send)
        scope.setdefault("state", {})  # before the scope is copied: all copies share the state
        scope[SITE] = scope["app"]  # for applications in mounts
        scope, zone = zone_of_request(scope)
        scope, language = self.language.select(scope)
        if scope["type"] == "websocket":
            return self._run_websocket(scope, zone or self.zone, language, receive, send)
        request = ObservedRequest(scope)
        run = self._run_observed if observers else self._run
        return run(request, zone or self.zone, language, receive, send)

    async def _run_observed(self, request: ObservedRequest, *arguments: Any) -> None:
        with observed_request(request):
            await self._run(request, *arguments)

    async def _run(self, request: ObservedRequest, zone: tzinfo, language: str, receive: Receive, send: Send) -> None:
        scope = request.scope
        new_id = request_id_of(scope)
        trace = traceparent.get() or (client_traceparent(scope) if self.trusts_traces else "")
        tokens: list[Token[Any]] = [
            request_id.set(new_id),
            traceparent.set(trace),
            current_origin.set(_origin_of(scope)),
            current_zone.set(zone),
            current_language.set(language),
            current_site_languages.set(self.content_languages),
        ]
        started = time.perf_counter()

        async def send_complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                headers = [header for header in message.get("headers", ()) if header[0] != b"x-request-id"]
                headers.append((b"x-request-id", new_id.encode()))
                headers += cookie_headers(scope, headers)
                headers += flash.cookie_headers(scope, request.status, self.settings)
                self.language.add_headers(headers, scope)
                self.security_headers.add_missing(headers, scope)
                message["headers"] = request.headers = headers
            await send(message)

        try:
            await self.app(scope, receive, send_complete)
        except ClientDisconnect:
            pass  # the client has left
        except asyncio.CancelledError:
            if request.status or not is_stopping(scope[SITE]):
                raise
            may_repeat = scope["method"] in ("GET", "HEAD")  # other methods may have stored a change
            detail = "" if may_repeat else STOPPED
            headers = RETRY_HEADERS if may_repeat else None
            response = problem(on_site(Request(scope)), 503, detail, headers=headers)
            await with_cors(response, self.settings)(scope, receive, send_complete)
        except Exception as error:  # noqa: BLE001 - the edge of the process: every crash becomes a response and a log line
            await _respond_to_crash(error, request.status, scope, receive, send_complete)
        finally:
            log_request(scope, request.status, time.perf_counter() - started)
            log_refused_request(scope, request.status)
            for token in tokens:
                token.var.reset(token)

    async def _run_websocket(self, scope: Scope, zone: tzinfo, language: str, receive: Receive, send: Send) -> None:
        with (
            use_value(current_origin, _origin_of(scope)),
            use_value(current_zone, zone),
            use_value(current_language, language),
            use_value(current_site_languages, self.content_languages),
            use_value(request_id, request_id_of(scope)),
        ):
            await _serve_websocket(self.app, scope, SocketMessages(receive, send))


def _origin_of(scope: Scope) -> ChangeOrigin:
    segment = path_below_root(scope).removeprefix("/").partition("/")[0]
    return ChangeOrigin(segment if segment in ("admin", "api") else "page", scope)


class SocketMessages:
    """Messages of a WebSocket, by which its start and its end are known."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.is_accepted = False
        self.close_code = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self.is_accepted = True
        elif message["type"] == "websocket.close":
            self.close_code = message.get("code", 1000)
        await self._send(message)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.close_code = message.get("code", 1005)
        return message


async def _serve_websocket(app: ASGIApp, scope: Scope, messages: SocketMessages) -> None:
    """Run a WebSocket route, log its close code, and close the connection if the route crashed."""
    started = time.perf_counter()
    try:
        await app(scope, messages.receive, messages.send)
    except Exception as error:
        if not messages.is_accepted:
            raise  # the server logs it and responds 500
        close_code = WS_1003_UNSUPPORTED_DATA if _is_wrong_frame(error) else WS_1011_INTERNAL_ERROR
        if close_code == WS_1011_INTERNAL_ERROR:
            logger.exception("unhandled error")
        with suppress(Exception):  # the client may be gone
            await messages.send({"type": "websocket.close", "code": close_code})
    finally:
        connection = {**scope, "method": "WEBSOCKET"}
        log_request(connection, messages.close_code, time.perf_counter() - started)
        if not messages.is_accepted and messages.close_code == WS_1008_POLICY_VIOLATION:  # the client sees a 403
            log_refused_request(connection, 403)


def _is_wrong_frame(error: Exception) -> bool:
    """Return whether the client has sent bytes to a route that reads text, or the reverse."""
    *_frames, (frame, _line) = walk_tb(error.__traceback__)
    return isinstance(error, KeyError) and frame.f_globals["__name__"] == "starlette.websockets"


async def _respond_to_crash(error: Exception, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    request = on_site(Request(scope))
    if status:  # too late for another response: the server cuts the connection
        hint = hint_in_development(request, error)
        logger.error("failed while sending%s", f": {hint}" if hint else "", exc_info=error)
        return
    response = on_full_disk(request, error) or await on_crash(request, error)
    await with_cors(response, request.app.state.settings)(scope, receive, send)
