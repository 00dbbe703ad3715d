"""Who sends a request: dependencies for routes, and `user_of` for code that is no route."""

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import Depends, HTTPException, Request

from opportune.accounts import bearer, sessions
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.reading import find
from opportune.db.database import Database
from opportune.web.errors.handlers import wants_json
from opportune.web.rendering.templates import is_htmx

LOGIN = "/accounts/login"


async def user_of(request: Request) -> User | None:
    """The active user who sends this request, read afresh once a request; also at `request.state.user`.

    `request.state.session` is the session of the browser that they use, or None.
    Pages know people by the session's cookie. Addresses under /api take a bearer token too, which then decides alone.
    The user belongs to no session: `session.add(user)` in a `WriteSession` before changing it.
    """
    if not hasattr(request.state, "user"):
        request.state.user = await _read_user(request)
    user: User | None = request.state.user
    return user


async def _read_user(request: Request) -> User | None:
    request.state.session = None
    database: Database = request.app.state.database
    by_bearer = bearer.token_of(request) if request.scope["path"].startswith("/api/") else None
    found: tuple[Session, User] | tuple[ApiToken, User] | None = None
    if by_bearer is not None:
        found = await find(database, ApiToken, by_bearer)
    elif token := sessions.token_of(request):
        found = await find(database, Session, token)
    if found is None:
        return None
    row, user = found
    request.state.session = row if isinstance(row, Session) else None
    request.app.state.last_seen.note(row, request)
    return user


OptionalUser = Annotated[User | None, Depends(user_of)]


async def current_user(
    request: Request, user: OptionalUser, _token: Annotated[str | None, Depends(bearer.scheme)]
) -> User:
    if user is None:
        raise please_sign_in(request)
    return user


CurrentUser = Annotated[User, Depends(current_user)]


def please_sign_in(request: Request) -> HTTPException:
    """What to raise at somebody whom we do not know: to the sign-in page and back, or 401 for programs."""
    if wants_json(request):
        return HTTPException(401, headers=bearer.REALM)
    address = f"{LOGIN}?{urlencode({'next': _came_from(request)})}"
    if is_htmx(request):  # which would put the sign-in page into a part of this one
        return HTTPException(401, headers={"HX-Redirect": address})
    return HTTPException(303, headers={"Location": address})


def _came_from(request: Request) -> str:
    """The page to come back to: this one if a browser shows it, else the one whose form or script asks."""
    shown = str(request.url) if request.method == "GET" and not is_htmx(request) else None
    try:
        parts = urlsplit(shown or request.headers.get("hx-current-url") or request.headers.get("referer") or "/")
    except ValueError:  # the header is no address
        return "/"
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
