"""Cookies for single pages. Other pages, which caches may store, are requested without them."""

from starlette.requests import Request
from starlette.responses import Response

from opportune.config.settings import Settings


def page_cookie_name(settings: Settings, name: str) -> str:
    """Return the name in the browser: over TLS with the prefix that other schemes cannot set."""
    return f"__Secure-{name}" if settings.has_secure_cookies else name


def set_page_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int, path: str) -> None:
    """Set a cookie for pages below this path, also for links from other sites; 0 seconds delete it."""
    settings: Settings = request.app.state.settings
    response.set_cookie(
        page_cookie_name(settings, name),
        value,
        max_age=seconds,
        path=path,
        secure=settings.has_secure_cookies,
        httponly=True,
        samesite="lax",
    )
