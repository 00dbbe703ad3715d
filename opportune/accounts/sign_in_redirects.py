"""Errors that redirect browsers to the sign-in page or another page, and the page to which users come back."""

from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from starlette.requests import HTTPConnection

from opportune.accounts.kept_forms import FormInterrupted, with_key
from opportune.accounts.tokens.dependencies import AUTHENTICATE_HEADER
from opportune.i18n import gettext_lazy as _l
from opportune.web.errors.problem import wants_json
from opportune.web.forms.kept_form import KEY_IN_STATE
from opportune.web.language import without_prefix
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.redirects import nearest_page, with_next
from opportune.web.rendering.templates import is_htmx

LOGIN_PATH = "/accounts/login"
SIGN_IN_FIRST = _l("Sign in first.")


def make_sign_in_error(request: HTTPConnection) -> HTTPException:
    """Return the error for visitors who are not signed in.

    It redirects browsers to the sign-in page. Programs and WebSockets get 401.
    """
    error = HTTPException(401, SIGN_IN_FIRST, AUTHENTICATE_HEADER)
    return make_redirect_error(request, with_next(LOGIN_PATH, find_return_path(request)), error)


def make_redirect_error(
    request: HTTPConnection, url: str, error: HTTPException, *, has_form: bool = False, notice: str = ""
) -> HTTPException:
    """Return an error that redirects browsers to a page; for programs and WebSockets, return `error`.

    The texts of a form are kept. If the page at the URL `has_form`, it shows them with the notice. Otherwise the
    page in the parameter `next` does when the user comes back.
    """
    if not isinstance(request, Request) or wants_json(request):
        return error
    # htmx would follow a redirect and insert the page as a fragment.
    status, header = (error.status_code, "HX-Redirect") if is_htmx(request) else (303, "Location")
    return FormInterrupted(status, header, url, notice, has_form=has_form)


def find_return_path(request: HTTPConnection) -> str:
    """Return the path of the page that the user comes back to.

    For a GET request of a browser it is the requested page, otherwise the page with the form or script. URLs that
    only accept forms are replaced by the nearest page.
    """
    is_page = isinstance(request, Request) and request.method == "GET" and not is_htmx(request)
    is_form = request.scope.get("method") not in (None, *SAFE_METHODS)
    try:
        parts = urlsplit(str(request.url) if is_page else _sender_of(request, is_form=is_form))
    except ValueError:  # a header is invalid
        return "/"
    path = without_prefix(request.scope, parts.path)
    path = f"{path}?{parts.query}" if parts.query else path
    key = request.scope.get("state", {}).get(KEY_IN_STATE) if is_page else ""
    if key:
        return with_key(path, key)
    return nearest_page(request, path) if is_form else path


def _sender_of(request: HTTPConnection, *, is_form: bool) -> str:
    """Return the URL of the page with the form or script. Without it, the URL of a form stands for its page."""
    sender = request.headers.get("hx-current-url") or request.headers.get("referer")
    return sender or (request.url.path if is_form else "/")
