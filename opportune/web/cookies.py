"""Cookies: those with choices of a browser, such as its time zone, and those that a route adds to its response."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from opportune.config.settings import Settings

ADDED_COOKIES = "response_cookies"
"""Key of the request's state with the headers of added cookies."""


def take_cookie(scope: Scope, prefix: bytes) -> tuple[Scope, str | None]:
    """Return the scope without a cookie, and its value. `prefix` is the name with an equals sign.

    Pages of all visitors may depend on this cookie. Without it, requests that have no other one can be served from the
    cache.
    """
    if b"cookie" not in dict(scope["headers"]):
        return scope, None
    headers = []
    value = None
    for name, header in scope["headers"]:
        cookies = header
        if name == b"cookie" and prefix in header:
            parts = [part.strip() for part in header.split(b";")]
            cookies = b"; ".join([part for part in parts if not part.startswith(prefix)])
            for part in parts:
                if part.startswith(prefix):
                    value = part.removeprefix(prefix).decode("latin-1")
        if cookies or name != b"cookie":
            headers.append((name, cookies))
    return scope if value is None else {**scope, "headers": headers}, value


def may_have_cookie(scope: Scope, text: bytes) -> bool:
    """Return whether the request may have a cookie with this text. Its cookies are not parsed, to save time."""
    return any(name == b"cookie" and text in value for name, value in scope["headers"])


def set_cookie(
    response: Response, settings: Settings, name: str, value: str, max_age: int | None, path: str = "/"
) -> None:
    """Set a cookie that scripts cannot read. Without `max_age`, in seconds, it is deleted when the browser closes."""
    secure = settings.has_secure_cookies
    response.set_cookie(name, value, max_age, path=path, secure=secure, httponly=True, samesite="lax")


def add_cookies(request: Request, response: Response) -> None:
    """Send the cookies of `response` with the final response of the request, which may override them.

    The final response is a page, a redirect or an error.
    """
    cookies = request.scope.setdefault("state", {}).setdefault(ADDED_COOKIES, [])
    cookies += [header for header in response.raw_headers if header[0] == b"set-cookie"]


def cookie_headers(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return `Set-Cookie` headers of the added cookies, except those that `headers` already set."""
    cookies: list[tuple[bytes, bytes]] = scope["state"].get(ADDED_COOKIES, [])
    if not cookies:
        return []
    present = {_cookie_name(header) for header in headers}
    return [header for header in cookies if _cookie_name(header) not in present]


def _cookie_name(header: tuple[bytes, bytes]) -> bytes:
    return header[1].partition(b"=")[0] if header[0].lower() == b"set-cookie" else b""
