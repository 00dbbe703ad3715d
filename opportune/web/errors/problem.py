"""The response for an error: a page, or RFC 9457 problem details, by the `Accept` header."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from opportune.db.sessions.dependencies import is_foreign_route
from opportune.i18n import gettext
from opportune.web.errors.habits import ErrorHint
from opportune.web.errors.status_texts import PHRASES, STATUS_TEXTS
from opportune.web.middleware.request_log import request_id
from opportune.web.rendering.templates import is_htmx, templates
from opportune.web.routing.root_path import path_below_root

ErrorRenderer = Callable[[Mapping[str, Any], int], Response]
"""Renders an error page with a status."""
ERROR_RENDERER = "error_renderer"

MAX_ERRORS = 10
"""Number of invalid fields listed on an error page."""


def wants_json(request: Request) -> bool:
    if path_below_root(request.scope).startswith("/api/"):
        return True
    accept = request.headers.get("accept", "")
    if is_foreign_route(request):  # most existing applications are APIs
        return "text/html" not in accept
    return "json" in accept and "text/html" not in accept


def show_errors_with(request: Request, render: ErrorRenderer) -> None:
    """Render error pages of this request with `render`, for pages with another layout, such as the admin."""
    request.scope.setdefault("state", {})[ERROR_RENDERER] = render


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
    title, sentence = _title_and_sentence(status, detail, hint)
    if wants_json(request):
        body = {"type": "about:blank", "title": title, "status": status}
        body["detail"] = sentence if isinstance(detail, str) or hint else detail
        optional = {"errors": errors, "code": code, "request_id": request_id.get()}
        body |= {name: value for name, value in optional.items() if value}
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    context = {
        "status": status,
        "title": title,
        "detail": sentence,
        "errors": [(".".join(item["field"]), item["message"]) for item in errors or []][:MAX_ERRORS],
        "retry_url": _url_without_invalid_query(request, errors or []),
        "report": None,
        "hint": hint,
        "error_number": request_id.get(),
    }
    page = _render_page(request, context, status)
    page.headers.update(headers or {})
    return page


def _title_and_sentence(status: int, detail: Any, hint: ErrorHint | None) -> tuple[str, str]:
    """Return the title of a status and a sentence: the hint, the detail, or else the message of the status."""
    phrase = PHRASES.get(status) or f"{gettext('Error')} {status}"
    title, message = STATUS_TEXTS.get(status, (phrase, phrase))
    if hint:
        return gettext(title), str(hint)
    is_sentence = isinstance(detail, str) and detail not in ("", phrase)
    return gettext(title), gettext(detail if is_sentence else message)


def _render_page(request: Request, context: Mapping[str, Any], status: int) -> Response:
    if is_htmx(request) and not context["hint"]:  # a message above the page, which stays as it is, with its forms
        response = templates.partial(templates.render_to_string(request, "error_partial.html", context), status)
        response.headers["HX-Reswap"] = "none"
        return response
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
