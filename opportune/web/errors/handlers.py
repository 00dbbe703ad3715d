"""Handlers of the errors that routes raise. Each returns a response."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from opportune.db.errors import explain, is_full, is_outage
from opportune.errors import Busy, FieldErrors, Forbidden, NotFound, ReadOnlyError, Refused, ServiceError
from opportune.feature import Feature
from opportune.i18n import gettext
from opportune.project.optional_features import feature_of_path, how_to_list
from opportune.storage.storage import StorageError
from opportune.web.errors.debug_page import debug_context
from opportune.web.errors.error_hints import ErrorHint, hint_for
from opportune.web.errors.plain_page import plain_page
from opportune.web.errors.problem import STATUS_MESSAGES, problem, wants_json
from opportune.web.errors.websockets import Handler, on_disconnect, or_close
from opportune.web.forms.error_messages import message_for
from opportune.web.forms.submissions import let_repeat
from opportune.web.middleware.request_log import request_id
from opportune.web.rendering.templates import is_htmx, templates

logger = logging.getLogger(__name__)


RETRY_HEADERS = {"Retry-After": "2"}
RELOAD_SECONDS = 5
"""Seconds before the page of an unavailable database reloads."""


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, (ClientDisconnect, OSError)):  # FastAPI turns them into an unreadable body
        raise error.__cause__
    if 300 <= error.status_code < 400:
        let_repeat(request)  # a redirect such as to the sign-in page: the form was not processed
        return Response(status_code=error.status_code, headers=error.headers)
    if error.status_code == 204:
        return Response(status_code=204, headers=error.headers)
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


async def on_refused(request: Request, error: Refused) -> Response:
    return problem(request, error.status, str(error))


async def on_field_errors(request: Request, error: FieldErrors) -> Response:
    errors = [{"field": [name] if name else [], "message": gettext(text)} for name, text in error.errors.items()]
    return problem(request, 422, str(error), errors=errors)


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    # The input is left out, because it may be a password.
    errors = [{"field": _field_path(item), "message": message_for(item)} for item in error.errors()]
    # An invalid path parameter means that the page does not exist.
    if any(item["loc"][0] == "path" for item in error.errors()):
        return problem(request, 404)
    return problem(request, 422, errors=jsonable_encoder(errors))


def _field_path(item: Mapping[str, Any]) -> list[str]:
    if item["type"] == "json_invalid":  # it has a position instead of a field
        return []
    return [str(part) for part in item["loc"][1:]]


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


async def on_storage_error(request: Request, error: StorageError) -> Response:
    return problem(request, error.status, str(error), headers=RETRY_HEADERS if error.status == 503 else None)


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
