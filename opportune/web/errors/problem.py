"""The response for an error: a page, or RFC 9457 problem details, by the `Accept` header."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from opportune.db.sessions.dependencies import is_foreign_route
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.habits import ErrorHint
from opportune.web.middleware.request_log import request_id
from opportune.web.rendering.templates import is_htmx, templates

ErrorRenderer = Callable[[Mapping[str, Any], int], Response]
"""Renders an error page with a status."""
ERROR_RENDERER = "error_renderer"

MAX_ERRORS = 10
"""Number of invalid fields listed on an error page."""
STATUS_TEXTS = {
    400: (_l("Bad Request"), _l("The request is invalid.")),
    401: (_l("Unauthorized"), _l("Sign in first.")),
    403: (_l("Forbidden"), _l("You may not do this.")),
    404: (_l("Not Found"), _l("There is nothing at this address.")),
    405: (_l("Method Not Allowed"), _l("This address does not support that kind of request.")),
    409: (_l("Conflict"), _l("This conflicts with existing data. Load the page again to see it.")),
    413: (_l("Request Too Large"), _l("The request is too large. Go back and send less, or a smaller file.")),
    415: (_l("Unsupported Media Type"), _l("Send JSON with the header Content-Type: application/json.")),
    422: (_l("Invalid Values"), _l("Some of the values are not valid.")),
    429: (_l("Too Many Requests"), _l("Too many requests. Wait a moment and try again.")),
    500: (_l("Internal Server Error"), _l("Something went wrong on our side. It has been logged.")),
    502: (_l("Bad Gateway"), _l("Another service did not respond as expected. Try again in a moment.")),
    503: (_l("Service Unavailable"), _l("The site cannot do this at the moment. Try again in a moment.")),
    507: (
        _l("Insufficient Storage"),
        _l("The disk of this site is full, so nothing was saved. Please try again later."),
    ),
}
"""Title and message of an error, by its status."""
STATUS_MESSAGES = {status: message for status, (_title, message) in STATUS_TEXTS.items()}

PHRASES = {status.value: status.phrase for status in HTTPStatus}

_TEXT = {"type": "string"}
PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "array", "items": _TEXT}, "message": _TEXT},
            },
        },
    },
}
FASTAPI_ERROR = {"$ref": "#/components/schemas/HTTPValidationError"}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


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
    detail: Any = "",
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
        detail: A sentence for the user. Other JSON values are only in responses of the API.
        errors: The invalid fields, each with `field` and `message`.
        code: Stable name of the error, for API clients.
        headers: Headers to add.
        hint: Advice for the developer, replaces `detail`.
    """
    phrase = PHRASES.get(status) or f"{gettext('Error')} {status}"
    title, message = STATUS_TEXTS.get(status, (phrase, phrase))
    is_text = isinstance(detail, str)
    sentence = gettext(detail if is_text and detail and detail != phrase else message)
    if hint:
        sentence = str(hint)
    if wants_json(request):
        body = {"type": "about:blank", "title": gettext(title), "status": status}
        body["detail"] = sentence if is_text or hint else detail
        optional = {"errors": errors, "code": code, "request_id": request_id.get()}
        body |= {name: value for name, value in optional.items() if value}
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    context = {
        "status": status,
        "title": gettext(title),
        "detail": sentence,
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


def _url_without_invalid_query(request: Request, errors: list[dict[str, Any]]) -> str:
    """Return the query without its invalid parameters, or an empty string if all are valid."""
    invalid = [item["field"][0] for item in errors if item["field"] and item["field"][0] in request.query_params]
    if request.method != "GET" or not invalid:
        return ""
    return f"?{request.url.remove_query_params(invalid).query}"


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error responses of a route: `@router.get("", responses=refusals(404, 409))`."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": STATUS_MESSAGES[status], "content": content} for status in statuses}


def operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations of an OpenAPI document."""
    for path in schema["paths"].values():
        yield from path.values()


def complete_responses(schema: dict[str, Any]) -> None:
    """Add the schema `Problem`, use it in place of FastAPI's `HTTPValidationError`, and type event streams."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for operation in operations(schema):
        content = operation["responses"].get("422", {}).get("content", {})
        if content.get("application/json", {}).get("schema") == FASTAPI_ERROR:
            operation["responses"]["422"] = refusals(422)[422]
        _use_model_of_stream(operation)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _use_model_of_stream(operation: dict[str, Any]) -> None:
    """Remove the type that FastAPI writes next to the model of an event stream."""
    content = operation["responses"].get("200", {}).get("content", {})
    if "$ref" in (schema := content.get("text/event-stream", {}).get("schema", {})):
        schema.pop("type", None)
