"""Cookies for a few pages alone: others, which may be kept by caches, come without."""

from starlette.requests import Request
from starlette.responses import Response

from opportune.config.settings import Settings


def page_cookie_name(settings: Settings, name: str) -> str:
    """Its name as browsers know it: over TLS with the prefix that other schemes cannot set."""
    return f"__Secure-{name}" if settings.has_secure_cookies else name


def set_page_cookie(request: Request, response: Response, name: str, value: str, *, seconds: int, path: str) -> None:
    """Have a browser send it to pages below this path, also from a link elsewhere; with 0 seconds it forgets it."""
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
