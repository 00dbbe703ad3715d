"""Handlers of the errors that routes raise. Each returns a response. WebSockets are closed instead."""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from html import escape
from inspect import iscoroutinefunction
from pathlib import Path
from traceback import walk_tb
from typing import Any, cast

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.websockets import WebSocketDisconnect

from opportune.db.errors import explain, is_full, is_outage
from opportune.errors import Busy, FieldErrors, Forbidden, NotFound, ReadOnlyError, Refused, ServiceError
from opportune.feature import Feature
from opportune.i18n import get_language, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.project.optional_features import feature_of_path, how_to_list
from opportune.storage.storage import StorageError
from opportune.web.errors.debug_page import build_report, debug_context
from opportune.web.errors.error_hints import hint_for
from opportune.web.errors.habits import ErrorHint
from opportune.web.errors.problem import problem, wants_json
from opportune.web.errors.status_texts import STATUS_MESSAGES
from opportune.web.errors.web_sockets import close_after_error, ignore_disconnect
from opportune.web.forms.error_messages import message_for
from opportune.web.forms.hidden_fields import let_repeat
from opportune.web.middleware.request_log import request_id
from opportune.web.rendering.templates import is_htmx, templates
from opportune.web.routing.root_path import path_below_root

Handler = Callable[[Request, Any], Awaitable[Response]]

logger = logging.getLogger(__name__)

RETRY_HEADERS = {"Retry-After": "2"}
RELOAD_SECONDS = 5
"""Seconds before the page of an unavailable database reloads."""

LIBRARIES = {"fastapi", "sqladmin", "starlette"}
"""Packages whose `HTTPException` has a text in English."""

SEND_FORM = _l("Send a form with the header Content-Type: application/x-www-form-urlencoded.")
DATABASE_UNAVAILABLE = _l("The database is not available. Try again in a moment.")

PLAIN_PAGE = Path(__file__).with_name("plain_page.html").read_text(encoding="utf-8")


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    if 300 <= error.status_code < 400:
        let_repeat(request)  # a redirect such as to the sign-in page: the form was not processed
        return Response(status_code=error.status_code, headers=error.headers)
    if error.status_code == 204:
        return Response(status_code=204, headers=error.headers)
    is_of_library = _is_of_library(error)
    if is_of_library and isinstance(error.__cause__, (ClientDisconnect, OSError)):
        raise error.__cause__  # FastAPI turned it into an unreadable body
    if is_of_library and isinstance(error.__context__, MultiPartException):
        return problem(request, 413 if "maximum" in error.detail.lower() else 400)
    detail: Any = "" if is_of_library else error.detail  # FastAPI allows any JSON value
    headers = error.headers
    if is_of_library and error.status_code == 405:
        headers = _allowed_methods(request) or headers
    if error.status_code == 404 and (feature := _missing_feature(request)):
        detail = f"This page belongs to the feature {feature}. {how_to_list(feature)}"
    return problem(request, error.status_code, detail, headers=headers)


def _allowed_methods(request: Request) -> Mapping[str, str]:
    """Return the methods of all routes with this path. Starlette names those of one route."""
    matches = (route for route in request.scope["router"].routes if route.matches(request.scope)[0] is Match.PARTIAL)
    methods = {method for route in matches for method in getattr(route, "methods", ())}
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _is_of_library(error: HTTPException) -> bool:
    """Return whether a library raised the error. Its text is in English, and often for developers."""
    modules = [frame.f_globals.get("__name__", "") for frame, _line in walk_tb(error.__traceback__)]
    return bool(modules) and modules[-1].partition(".")[0] in LIBRARIES


def _missing_feature(request: Request) -> str | None:
    """Return the feature that a page needs and the site does not list, in development only."""
    state = request.app.state
    if state.settings.environment != "development":
        return None
    name = feature_of_path(path_below_root(request.scope))
    return None if any(feature.name == name for feature in state.features) else name


async def on_hidden(status: int, request: Request, _error: Exception) -> Response:
    return problem(request, status)


async def on_refused(request: Request, error: Refused | Busy | StorageError) -> Response:
    return problem(request, error.status, str(error), headers=RETRY_HEADERS if error.status == 503 else None)


async def on_field_errors(request: Request, error: FieldErrors) -> Response:
    errors = [
        {"field": [*filter(None, name.split("."))], "message": gettext(text)} for name, text in error.errors.items()
    ]
    return problem(request, 422, str(error), errors=errors)


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    # The input is left out, because it may be a password.
    errors = [{"field": _field_path(item), "message": message_for(item)} for item in error.errors()]
    # An invalid path parameter means that the page does not exist.
    if any(item["loc"][0] == "path" for item in error.errors()):
        return problem(request, 404)
    if any(item["loc"] == ("body",) and isinstance(item["input"], bytes) for item in error.errors()):
        return problem(request, 415)  # FastAPI does not parse a body that is not declared as JSON
    body = getattr(request.scope.get("route"), "body_field", None)
    if body and isinstance(body.field_info, Form) and "json" in request.headers.get("content-type", ""):
        return problem(request, 415, SEND_FORM)
    return problem(request, 422, errors=jsonable_encoder(errors))


def _field_path(item: Mapping[str, Any]) -> list[str]:
    has_field = item["type"] != "json_invalid"  # which has a position instead
    return [str(part) for part in item["loc"][1:]] if has_field else []


async def on_database_unavailable(request: Request, error: Exception) -> Response:
    """Respond 503 if the database is unavailable or not migrated. Other database errors are bugs and are raised."""
    if not is_outage(error):
        raise error
    logger.error("database unavailable: %s", explain(error, request.app.state.database.url))
    if is_full(error):
        return problem(request, 507)
    hint = hint_in_development(request, error)
    if hint or wants_json(request) or is_htmx(request):
        return problem(request, 503, DATABASE_UNAVAILABLE, headers=RETRY_HEADERS, hint=hint)
    # The browser reloads the page without a script, unless it has sent a form.
    reloads = request.method in ("GET", "HEAD") and "hx-request" not in request.headers
    context = {"reload_seconds": RELOAD_SECONDS if reloads else None, "error_number": request_id.get()}
    page = templates.render(request, "unavailable.html", context, 503)
    page.headers.update(RETRY_HEADERS)
    return page


async def on_service_error(request: Request, error: ServiceError) -> Response:
    """Respond with the message of the error, and log errors that only an operator can fix."""
    if not error.retryable:
        logger.error("%s: %s", error.service, error.with_advice)
    wait = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else RETRY_HEADERS
    return problem(request, error.status, str(error), code=error.code, headers=wait if error.retryable else None)


async def on_read_only(request: Request, error: Exception) -> Response:
    logger.warning("%s", error)
    return problem(request, 503, "This site is read-only at the moment. Nothing can be changed.")


async def on_conflict(request: Request, error: Exception) -> Response:
    logger.warning("refused by the database: %s", type(getattr(error, "orig", error)).__name__)
    hint = hint_in_development(request, error)
    return problem(request, 422 if isinstance(error, DataError) else 409, hint=hint)


def on_full_disk(request: Request, error: Exception) -> Response | None:
    """Return 507 for an `OSError` of a full disk, such as of a large upload that is buffered.

    An exception handler for `OSError` would hide the error of a response that has started behind a `RuntimeError`.
    """
    if not isinstance(error, OSError) or not is_full(error):
        return None
    logger.error("a file cannot grow, because of the disk, a quota or ulimit -f: %s", error)
    return problem(request, 507)


async def on_crash(request: Request, error: Exception) -> Response:
    """Log the traceback and respond 500. With DEBUG, the page shows the traceback."""
    logger.error("unhandled error", exc_info=error)
    handlers = request.app.exception_handlers
    handler = handlers.get(500) or handlers.get(Exception)  # Starlette calls them outside all middleware
    try:
        if handler is None:
            return _crash_page(request, error)
        if not iscoroutinefunction(handler):
            handler = partial(run_in_threadpool, handler)
        return cast("Response", await handler(request, error))
    except Exception:  # templates, settings, the user or the handler may be what failed
        logger.exception("the error page cannot be rendered")
        return _plain_page(500, gettext(STATUS_MESSAGES[500]), request_id.get())


def _crash_page(request: Request, error: Exception) -> Response:
    hint = hint_in_development(request, error)
    settings = request.app.state.settings
    if not settings.debug:
        return problem(request, 500, hint=hint)
    if wants_json(request):
        return problem(request, 500, str(build_report(error, settings)), hint=hint)
    context = {"status": 500, "title": type(error).__name__, "detail": str(error), "hint": hint}
    return templates.render(request, "error.html", context | debug_context(error, settings, request), 500)


def hint_in_development(request: Request, error: Exception) -> ErrorHint | None:
    """Return a hint for developers, in development only."""
    is_development = request.app.state.settings.environment == "development"
    return hint_for(error) if is_development else None


HANDLERS: dict[type[Exception], Handler] = {
    HTTPException: on_http_exception,
    NotFound: partial(on_hidden, 404),
    Forbidden: partial(on_hidden, 403),
    Refused: on_refused,
    FieldErrors: on_field_errors,
    RequestValidationError: on_invalid_request,
    DBAPIError: on_database_unavailable,
    PoolTimeoutError: on_database_unavailable,
    Busy: on_refused,
    StorageError: on_refused,
    ServiceError: on_service_error,
    ReadOnlyError: on_read_only,
    IntegrityError: on_conflict,
    DataError: on_conflict,
    StaleDataError: on_conflict,  # another request has deleted the row, or changed its `version_id_col`
}


def add_error_handlers(app: FastAPI, features: Sequence[Feature]) -> None:
    """Add the handlers of the framework and of these features, which replace the framework's."""
    handlers = dict(HANDLERS)
    for feature in features:
        handlers.update(feature.site.error_handlers)
    for type_, handler in handlers.items():
        app.add_exception_handler(type_, _or_close(handler))
    app.add_exception_handler(WebSocketDisconnect, ignore_disconnect)  # type: ignore[arg-type]  # Starlette's types lack it


def _or_close(handler: Handler) -> Any:
    """Return an exception handler that closes WebSockets, and calls `handler` for HTTP requests."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await close_after_error(connection, error)
            return None
        return await handler(connection, error)

    return handle


def _plain_page(status: int, message: str, number: str) -> HTMLResponse:
    """Return a page that needs neither templates nor the database, for errors of the error page itself."""
    language = get_language()
    values = {"message": message, "number": number, "language": language.tag, "direction": language.direction}
    values |= {"quote": gettext("Quote this number if you report it:"), "back": gettext("Back to the start")}
    escaped = {name: escape(text) for name, text in values.items()}
    return HTMLResponse(PLAIN_PAGE.format(status=status, **escaped), status)
