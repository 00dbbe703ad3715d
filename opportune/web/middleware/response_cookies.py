"""Cookies for the final response of a request, which may be a page, a redirect or an error."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

STATE_KEY = "response_cookies"


def add_cookies(request: Request, response: Response) -> None:
    """Send the cookies of `response` with the final response of the request, which may override them."""
    cookies = request.scope.setdefault("state", {}).setdefault(STATE_KEY, [])
    cookies += [header for header in response.raw_headers if header[0] == b"set-cookie"]


def cookie_headers(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return `Set-Cookie` headers of the added cookies, except those that `headers` already set."""
    cookies: list[tuple[bytes, bytes]] = scope["state"].get(STATE_KEY, [])
    if not cookies:
        return []
    present = {_cookie_name(header) for header in headers}
    return [header for header in cookies if _cookie_name(header) not in present]


def _cookie_name(header: tuple[bytes, bytes]) -> bytes:
    return header[1].partition(b"=")[0] if header[0].lower() == b"set-cookie" else b""
