"""Rules for requests of users: forms of another user, impersonation, and a required second factor."""

from fastapi import HTTPException, Request
from starlette.requests import HTTPConnection

from opportune.accounts.events.impersonated_changes import record_changes, stop_recording
from opportune.accounts.models import User
from opportune.accounts.sign_in_methods.second_factor import setup_is_required
from opportune.accounts.sign_in_redirects import find_return_path, make_redirect_error, make_sign_in_error
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.hidden_fields import submitted_mark, user_marks
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.redirects import safe_redirect_path
from opportune.web.rendering.templates import is_htmx
from opportune.web.routing.root_path import path_below_root

OTHER_USER = _l("This form was opened by another user, and you are signed in now. Load the page again.")

PERSONAL_PATHS = ("/accounts/", "/api/v1/auth/", "/api/v1/users/me")
IMPERSONATOR_PATHS = {
    "/accounts/profile",
    "/accounts/sessions",
    "/accounts/events",
    "/api/v1/users/me",
    "/api/v1/users/me/sessions",
    "/api/v1/users/me/events",
}
"""Personal pages that a superuser may open while signed in as a user."""
OWNER_ONLY = _l("Only the user can do this. You are signed in as another user. Go back to your own account first.")
IMPERSONATION_END_PATHS = ("/accounts/impersonation/end", "/accounts/logout", "/api/v1/auth/logout")
READ_ONLY = _l(
    "You are signed in as another user and cannot change anything. To make changes, go back to your own account and"
    " sign in as this user again, with changes allowed."
)
SECOND_FACTOR_SETUP_PATH = "/accounts/two-factor"
SECOND_FACTOR_PATHS = (
    SECOND_FACTOR_SETUP_PATH,
    "/accounts/passkeys",
    "/accounts/confirm",
    "/accounts/password",
    "/api/v1/auth/",
    "/api/v1/users/me/two-factor",
    "/api/v1/users/me/passkeys",
    "/api/v1/users/me/confirmation",
)
"""URLs that stay open for a user who must set up a second factor first."""
NO_SECOND_FACTOR = _l("Set up a second factor first, at /accounts/two-factor.")


def require_same_user(request: HTTPConnection, user: User | None) -> None:
    """Refuse a form that was rendered for another user. Its page shows the text again.

    Raises:
        HTTPException: The form is of another user.
    """
    if request.scope.get("method") in SAFE_METHODS or request.scope["state"]["token"]:
        return
    mark = submitted_mark(request)
    if not mark:
        return
    if user is None:
        raise make_sign_in_error(request)
    if mark not in user_marks(request.app.state.settings, user.id):
        page = safe_redirect_path(find_return_path(request))
        raise make_redirect_error(request, page, HTTPException(409, OTHER_USER), has_form=True)


def guard_impersonation(request: HTTPConnection) -> None:
    """Refuse or record changes by a superuser who is signed in as another user.

    Raises:
        HTTPException: The superuser may not make this request.
    """
    scope = request.scope
    state = scope["state"]  # `request.state` takes four calls
    if state["impersonator"] is None:
        stop_recording()
    elif state["session"].impersonator_may_write:
        record_changes(state["user"], state["impersonator"])
    elif scope.get("method") not in SAFE_METHODS and path_below_root(scope) not in IMPERSONATION_END_PATHS:
        raise HTTPException(403, OWNER_ONLY if is_personal(request) else READ_ONLY)


async def require_second_factor(request: HTTPConnection, user: User) -> None:
    """Redirect a user without a second factor to its setup, if the site requires one.

    Raises:
        HTTPException: The user must set up a second factor first.
    """
    state = request.app.state
    if state.settings.needs_second_factor != "all" or request.state.impersonator is not None:
        return
    if path_below_root(request.scope).startswith(SECOND_FACTOR_PATHS):
        return
    if not await setup_is_required(state.database, state.settings, user):
        return
    if _is_part_of_setup_page(request):
        raise HTTPException(204)
    error = HTTPException(403, NO_SECOND_FACTOR)
    raise make_redirect_error(request, SECOND_FACTOR_SETUP_PATH, error, has_form=True)


def _is_part_of_setup_page(request: HTTPConnection) -> bool:
    """Return whether a setup page loads this part, such as a menu. A redirect would load the page again without end."""
    is_part = isinstance(request, Request) and request.method in SAFE_METHODS and is_htmx(request)
    sender = {**request.scope, "path": find_return_path(request)}
    return is_part and path_below_root(sender).startswith(SECOND_FACTOR_PATHS)


def is_personal(request: HTTPConnection) -> bool:
    """Return whether this URL is closed to a superuser who is signed in as the user.

    New URLs below these prefixes are protected automatically.
    """
    path = path_below_root(request.scope)
    method = request.scope.get("method")
    return path.startswith(PERSONAL_PATHS) and not (path in IMPERSONATOR_PATHS and method in ("GET", "HEAD"))
