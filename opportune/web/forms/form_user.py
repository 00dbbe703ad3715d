"""Mark of the user in each form, so that a form is never processed for another user.

Another tab may have signed in as another user since the page was rendered. The mark also names the team of the page.
"""

import hashlib
import hmac

from markupsafe import Markup
from starlette.requests import HTTPConnection
from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys
from opportune.db.hooks.change_origin import current_origin
from opportune.web.rendering.cached_part import exclude_from_cache

FIELD_NAME = "form_user"
HEADER = "Form-User"
"""Header of htmx requests without a form."""
STATE_KEY = "form_user"
"""Key of the request's state with the value of a submitted form, which `SubmissionMiddleware` reads from the body."""
PAGE_KEY = "form_user_rendered"
"""Key of the request's state with the mark of the current user."""
TEAM_KEY = "form_team"
"""Key of the request's state with the current team, if the route has read it: letters and digits."""
HIDDEN_FIELD = Markup('<input type="hidden" name="form_user" value="{}" autocomplete="off">')
PURPOSE = "form user"
MARK_LENGTH = 22
TEAM_SEPARATOR = "-"
"""Separates the team from the mark, which has only hexadecimal digits."""


def form_user() -> Markup:
    """Return the hidden field that templates add to each form with `method="post"`. Empty for visitors."""
    mark = page_mark()
    return HIDDEN_FIELD.format(mark) if mark else Markup()


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
    value: str = scope.get("state", {}).get(STATE_KEY) or request.headers.get(HEADER, "")
    return value


def user_marks(settings: Settings, user_id: int) -> list[str]:
    """Return the mark of a user, followed by those with older secret keys."""
    return [
        hmac.new(key.encode(), str(user_id).encode(), hashlib.sha256).hexdigest()[:MARK_LENGTH]
        for key in derived_keys(settings, PURPOSE)
    ]
