"""Hidden fields of forms: a token against double submission, and the mark of the user.

The mark ensures that a form is never processed for another user. Another tab may have signed in as another user since
the page was rendered. The mark also names the team of the page.
"""

import hmac
import secrets
from contextvars import ContextVar
from typing import cast

from markupsafe import Markup
from starlette.requests import HTTPConnection, Request
from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.db.hooks.change_origin import current_origin
from opportune.web.rendering.cached_part import exclude_from_cache

TOKEN_FIELD = "form_token"
TOKEN_BYTES = 16
TOKEN_INPUT = Markup('<input type="hidden" name="form_token" value="{}" autocomplete="off">')
REPEATABLE = "repeatable_form"
"""Key of the request's state that lets a repeated form be processed again."""

is_shared_page: ContextVar[bool] = ContextVar("is_shared_page", default=False)
"""Whether the rendered page is cached. Visitors who share a page must not share its tokens."""

USER_FIELD = "form_user"
USER_HEADER = "Form-User"
"""Header of htmx requests without a form."""
USER_STATE_KEY = "form_user"
"""Key of the request's state with the value of a submitted form, which `SubmissionMiddleware` reads from the body."""
PAGE_KEY = "form_user_rendered"
"""Key of the request's state with the mark of the current user."""
TEAM_KEY = "form_team"
"""Key of the request's state with the current team, if the route has read it: letters and digits."""
USER_INPUT = Markup('<input type="hidden" name="form_user" value="{}" autocomplete="off">')
MARK_LENGTH = 22
TEAM_SEPARATOR = "-"
"""Separates the team from the mark, which has only hexadecimal digits."""


def form_token() -> Markup:
    """Return a hidden field that prevents double submission: `{{ form_token() }}`."""
    exclude_from_cache("form_token()")
    if is_shared_page.get():
        return Markup()
    return TOKEN_INPUT.format(secrets.token_urlsafe(TOKEN_BYTES))


def let_repeat(request: Request) -> None:
    """Process a repeated form again, although this response is a redirect."""
    request.scope.setdefault("state", {})[REPEATABLE] = True


def form_user() -> Markup:
    """Return the hidden field that templates add to each form with `method="post"`. Empty for visitors."""
    mark = page_mark()
    return USER_INPUT.format(mark) if mark else Markup()


def page_mark() -> str:
    """Return the mark of the current user, with the team of the page if its route has read it.

    Empty for visitors and outside of requests. The part of the page that contains the mark is not cached.
    """
    exclude_from_cache("a form that posts")
    origin = current_origin.get()
    state = origin.scope.get("state", {}) if origin else {}
    user = state.get("user")
    if origin is None or user is None:
        return ""
    if PAGE_KEY not in state:
        state[PAGE_KEY] = user_marks(origin.scope["app"].state.settings, user.id)[0]
    mark: str = state[PAGE_KEY]
    return f"{mark}{TEAM_SEPARATOR}{state[TEAM_KEY]}" if TEAM_KEY in state else mark


def submitted_mark(request: HTTPConnection) -> str:
    """Return the user's mark of a submitted form, or an empty string if it was rendered for visitors."""
    return _submitted_value(request).partition(TEAM_SEPARATOR)[0]


def submitted_team(request: HTTPConnection) -> str:
    """Return the team for which a submitted form was rendered. Empty for pages that do not read the team."""
    return _submitted_value(request).partition(TEAM_SEPARATOR)[2]


def _submitted_value(request: HTTPConnection) -> str:
    """Return the mark and the team of a form, or of a request of htmx without a form."""
    scope: Scope = request.scope
    return cast("str", scope.get("state", {}).get(USER_STATE_KEY) or request.headers.get(USER_HEADER, ""))


def user_marks(settings: Settings, user_id: int) -> list[str]:
    """Return the mark of a user, followed by those with older secret keys."""
    return [
        hmac.digest(key.encode(), str(user_id).encode(), "sha256").hex()[:MARK_LENGTH]
        for key in derived_keys(settings, "form user")
    ]
