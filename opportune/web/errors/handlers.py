"""Error responses: a page, or RFC 9457 problem details, by the `Accept` header.

WebSockets end with a code and a reason instead.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, status
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect, WebSocketState

from opportune.db.errors import explain, is_full, is_outage
from opportune.db.sessions.site import is_foreign_route
from opportune.errors import Busy, FieldErrors, Forbidden, NotFound, ReadOnlyError, Refused, ServiceError
from opportune.feature import Feature
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.project.optional_features import feature_of_path, how_to_list
from opportune.storage.storage import StorageError
from opportune.web.errors.debug_page import debug_context
from opportune.web.errors.error_hints import ErrorHint, hint_for
from opportune.web.errors.plain_page import plain_page
from opportune.web.forms.error_messages import message_for
from opportune.web.forms.submissions import let_repeat
from opportune.web.middleware.request_log import request_id
from opportune.web.rendering.templates import is_htmx, templates

logger = logging.getLogger(__name__)

MAX_REASON_BYTES = 123
"""Limit of RFC 6455 for the reason in a close frame."""
REASONS: dict[type[Exception], str] = {NotFound: _l("Not found."), Forbidden: _l("You may not do this.")}
TRY_AGAIN: str = _l("Try again in a moment.")

Handler = Callable[[Request, Exception], Awaitable[Response]]


def or_close(handler: Handler) -> Any:
    """Return an exception handler that closes WebSockets, and calls `handler` for HTTP requests."""

    async def handle(connection: Request | WebSocket, error: Exception) -> Response | None:
        if isinstance(connection, WebSocket):
            await _close(connection, error)
            return None
        return await handler(connection, error)

    return handle


async def on_disconnect(_socket: WebSocket, _error: WebSocketDisconnect) -> None:
    """Ignore disconnects, so that routes need not catch them."""


async def _close(socket: WebSocket, error: Exception) -> None:
    """Close with 1008 for refusals and 1013 for temporary errors. Bugs are raised."""
    if isinstance(error, DBAPIError) and not is_outage(error):
        raise error
    code = status.WS_1008_POLICY_VIOLATION if _is_refusal(error) else status.WS_1013_TRY_AGAIN_LATER
    if code == status.WS_1013_TRY_AGAIN_LATER:
        logger.error("a WebSocket was closed: %s", type(error).__name__)
    if WebSocketState.DISCONNECTED not in (socket.application_state, socket.client_state):
        await socket.close(code, _reason(error))


def _is_refusal(error: Exception) -> bool:
    is_client_error = isinstance(error, HTTPException) and error.status_code < 500
    return is_client_error or isinstance(error, (NotFound, Forbidden, FieldErrors))


def _reason(error: Exception) -> str:
    """Return a reason for the close frame. Other errors get a general one, because their messages are not for users."""
    reason = REASONS.get(type(error), TRY_AGAIN)
    if isinstance(error, HTTPException):
        reason = str(error.detail)
    elif isinstance(error, FieldErrors):
        reason = str(error)
    return gettext(reason).encode()[:MAX_REASON_BYTES].decode(errors="ignore")


ErrorRenderer = Callable[[Mapping[str, Any], int], Response]
"""Renders an error page with a status."""
ERROR_RENDERER = "error_renderer"

RETRY_HEADERS = {"Retry-After": "2"}
MAX_ERRORS = 10
"""Number of invalid fields listed on an error page."""
RELOAD_SECONDS = 5
"""Seconds before the page of an unavailable database reloads."""

STATUS_TITLES = {
    400: _l("Bad Request"),
    401: _l("Unauthorized"),
    403: _l("Forbidden"),
    404: _l("Not Found"),
    405: _l("Method Not Allowed"),
    409: _l("Conflict"),
    413: _l("Request Entity Too Large"),
    415: _l("Unsupported Media Type"),
    422: _l("Unprocessable Entity"),
    429: _l("Too Many Requests"),
    500: _l("Internal Server Error"),
    502: _l("Bad Gateway"),
    503: _l("Service Unavailable"),
    507: _l("Insufficient Storage"),
}
STATUS_MESSAGES = {
    400: _l("The request is invalid."),
    401: _l("Sign in first."),
    403: _l("You may not do this."),
    404: _l("There is nothing at this address."),
    405: _l("This address does not support that kind of request."),
    409: _l("This conflicts with existing data. Load the page again to see it."),
    413: _l("The request is too large. Go back and send less, or a smaller file."),
    422: _l("Some of the values are not valid."),
    429: _l("Too many requests. Wait a moment and try again."),
    500: _l("Something went wrong on our side. It has been logged."),
    502: _l("Another service did not respond as expected. Try again in a moment."),
    503: _l("The database is not available. Try again in a moment."),
    507: _l("The disk of this site is full, so nothing was saved. Please try again later."),
}


def wants_json(request: Request) -> bool:
    if request.url.path.startswith("/api/"):
        return True
    accept = request.headers.get("accept", "")
    if is_foreign_route(request):  # most existing applications are APIs
        return "text/html" not in accept
    return "json" in accept and "text/html" not in accept


def problem(
    request: Request,
    status: int,
    detail: str = "",
    *,
    errors: list[dict[str, Any]] | None = None,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    hint: ErrorHint | None = None,
) -> Response:
    """Return the response for an error.

    Args:
        request: The request that failed.
        status: The HTTP status.
        detail: A sentence for the user.
        errors: The invalid fields, each with `field` and `message`.
        code: Stable name of the error, for API clients.
        headers: Headers to add.
        hint: Advice for the developer, replaces `detail`.
    """
    phrase = HTTPStatus(status).phrase
    title = gettext(STATUS_TITLES.get(status, phrase))
    detail = gettext(detail if detail and detail != phrase else STATUS_MESSAGES.get(status, phrase))
    if hint:
        detail = f"{hint.title}. {hint.cause} {hint.change} {hint.code}".strip()
    if wants_json(request):
        body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        if errors:
            body["errors"] = errors
        if code:
            body["code"] = code
        if number := request_id.get():
            body["request_id"] = number
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    context = {
        "status": status,
        "title": title,
        "detail": detail,
        "errors": [(".".join(item["field"]), item["message"]) for item in errors or []][:MAX_ERRORS],
        "retry_url": _url_without_invalid_query(request, errors or []),
        "report": None,
        "hint": hint,
        "error_number": request_id.get(),
    }
    page = _error_page(request, context, status)
    page.headers.update(headers or {})
    return page


def _error_message(request: Request, context: Mapping[str, Any], status: int) -> Response:
    """Return a message above the page for a request of htmx. The page and its forms stay as they are."""
    response = templates.partial(templates.render_to_string(request, "error_partial.html", context), status)
    response.headers["HX-Reswap"] = "none"
    return response


def show_errors_with(request: Request, render: ErrorRenderer) -> None:
    """Render error pages of this request with `render`, for pages with another layout, such as the admin."""
    request.scope.setdefault("state", {})[ERROR_RENDERER] = render


def _error_page(request: Request, context: Mapping[str, Any], status: int) -> Response:
    if is_htmx(request) and not context["hint"]:
        return _error_message(request, context, status)
    render: ErrorRenderer | None = request.scope.get("state", {}).get(ERROR_RENDERER)
    if render and status < 500 and not context["hint"]:
        return render(context, status)
    return templates.render(request, "error.html", context, status)


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, (ClientDisconnect, OSError)):  # FastAPI turns them into an unreadable body
        raise error.__cause__
    if 300 <= error.status_code < 400:
        let_repeat(request)  # a redirect such as to the sign-in page: the form was not processed
        return Response(status_code=error.status_code, headers=error.headers)
    detail = str(error.detail or "")
    if error.status_code == 404 and (feature := _missing_feature(request)):
        detail = f"This page belongs to the feature {feature}. {how_to_list(feature)}"
    return problem(request, error.status_code, detail, headers=error.headers)


def _missing_feature(request: Request) -> str:
    """Return the feature that a page needs and the site does not list, in development only."""
    state = request.app.state
    name = feature_of_path(request.url.path) if state.settings.environment == "development" else ""
    return "" if any(feature.name == name for feature in state.features) else name


async def on_not_found(request: Request, _error: Exception) -> Response:
    return problem(request, 404)


async def on_forbidden(request: Request, _error: Exception) -> Response:
    return problem(request, 403)


async def on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return problem(request, error.status, str(error))


async def on_field_errors(request: Request, error: Exception) -> Response:
    assert isinstance(error, FieldErrors)
    errors = [{"field": [name] if name else [], "message": gettext(text)} for name, text in error.errors.items()]
    return problem(request, 422, str(error), errors=errors)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The input is left out, because it may be a password.
    errors = [{"field": _field_path(item), "message": message_for(item)} for item in error.errors()]
    # An invalid path parameter means that the page does not exist.
    if any(item["loc"][0] == "path" for item in error.errors()):
        return problem(request, 404)
    return problem(request, 422, errors=jsonable_encoder(errors))


def _url_without_invalid_query(request: Request, errors: list[dict[str, Any]]) -> str:
    """Return the query without its invalid parameters, or an empty string if all are valid."""
    invalid = [item["field"][0] for item in errors if item["field"] and item["field"][0] in request.query_params]
    if request.method != "GET" or not invalid:
        return ""
    return f"?{request.url.remove_query_params(invalid).query}"


def _field_path(item: Mapping[str, Any]) -> list[str]:
    # Invalid JSON has a position instead of a field.
    return [] if item["type"] == "json_invalid" else [str(part) for part in item["loc"][1:]]


async def on_database_unavailable(request: Request, error: Exception) -> Response:
    """Respond 503 if the database is unavailable or not migrated. Other database errors are bugs and are raised."""
    if not is_outage(error):
        raise error
    logger.error("database unavailable: %s", explain(error, request.app.state.database.url))
    if is_full(error):
        return problem(request, 507)
    hint = _hint_in_development(request, error)
    if hint or wants_json(request) or is_htmx(request):
        return problem(request, 503, headers=RETRY_HEADERS, hint=hint)
    # The browser reloads the page without a script, unless it has sent a form.
    reloads = request.method in ("GET", "HEAD") and "hx-request" not in request.headers
    context = {"reload_seconds": RELOAD_SECONDS if reloads else None, "error_number": request_id.get()}
    page = templates.render(request, "unavailable.html", context, 503)
    page.headers.update(RETRY_HEADERS)
    return page


async def on_busy(request: Request, error: Exception) -> Response:
    return problem(request, 503, str(error), headers=RETRY_HEADERS)


async def on_storage_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StorageError)
    return problem(request, error.status, str(error), headers=RETRY_HEADERS if error.status == 503 else None)


async def on_service_error(request: Request, error: Exception) -> Response:
    """Respond with the message of the error, and log errors that only an operator can fix."""
    assert isinstance(error, ServiceError)
    if not error.retryable:
        logger.error("%s: %s", error.service, error.with_advice)
    wait = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else RETRY_HEADERS
    return problem(request, error.status, str(error), code=error.code, headers=wait if error.retryable else None)


async def on_read_only(request: Request, error: Exception) -> Response:
    logger.warning("%s", error)
    return problem(request, 503, "This site is read-only at the moment. Nothing can be changed.")


async def on_conflict(request: Request, error: Exception) -> Response:
    logger.warning("refused by the database: %s", type(getattr(error, "orig", error)).__name__)
    return problem(request, 409 if isinstance(error, IntegrityError) else 422)


def on_full_disk(request: Request, error: Exception) -> Response | None:
    """Return 507 for an `OSError` of a full disk, such as of a large upload that is buffered.

    An exception handler for `OSError` would hide the error of a response that has started behind a `RuntimeError`.
    """
    if not isinstance(error, OSError) or not is_full(error):
        return None
    logger.error("disk full: %s", error)
    return problem(request, 507)


def on_crash(request: Request, error: Exception) -> Response:
    """Log the traceback and respond 500. With DEBUG, the page shows the traceback."""
    logger.error("unhandled error", exc_info=error)
    try:
        return _crash_page(request, error)
    except Exception:  # the page needs templates, settings and the user, any of which may be what failed
        logger.exception("the error page cannot be rendered")
        return plain_page(500, gettext(STATUS_MESSAGES[500]), request_id.get())


def _crash_page(request: Request, error: Exception) -> Response:
    hint, settings = _hint_in_development(request, error), request.app.state.settings
    if not settings.debug or wants_json(request):
        return problem(request, 500, hint=hint)

    context = {"status": 500, "title": type(error).__name__, "detail": str(error), "hint": hint}
    return templates.render(request, "error.html", context | debug_context(error, settings, request), 500)


def _hint_in_development(request: Request, error: Exception) -> ErrorHint | None:
    """Return a hint for developers, in development only."""
    if request.app.state.settings.environment != "development":
        return None

    return hint_for(error)


HANDLERS: dict[type[Exception], Handler] = {
    HTTPException: on_http_exception,
    NotFound: on_not_found,
    Forbidden: on_forbidden,
    Refused: on_refused,
    FieldErrors: on_field_errors,
    RequestValidationError: on_invalid_request,
    DBAPIError: on_database_unavailable,
    PoolTimeoutError: on_database_unavailable,
    Busy: on_busy,
    StorageError: on_storage_error,
    ServiceError: on_service_error,
    ReadOnlyError: on_read_only,
    IntegrityError: on_conflict,
    DataError: on_conflict,
}


def add_error_handlers(app: FastAPI, features: Sequence[Feature]) -> None:
    """Add the handlers of the framework and of these features, which replace the framework's."""
    handlers = HANDLERS | {
        type_: handler for feature in features for type_, handler in feature.site.error_handlers.items()
    }
    for type_, handler in handlers.items():
        app.add_exception_handler(type_, or_close(handler))
    app.add_exception_handler(WebSocketDisconnect, on_disconnect)  # type: ignore[arg-type]  # Starlette's types lack it
