"""Cookies that go along with whatever answers a request: a page, a redirect, an error."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

STATE_KEY = "answer_cookies"


def send_cookies_of(request: Request, response: Response) -> None:
    """Send the cookies of this response with whatever will be the answer, whose own win."""
    waiting = request.scope.setdefault("state", {}).setdefault(STATE_KEY, [])
    waiting += [header for header in response.raw_headers if header[0] == b"set-cookie"]


def answer_cookies(scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers by which a browser learns of them, but for cookies that the answer itself sets."""
    waiting: list[tuple[bytes, bytes]] = scope["state"].get(STATE_KEY, [])
    own = {_cookie_name(header) for header in headers} if waiting else set()
    return [header for header in waiting if _cookie_name(header) not in own]


def _cookie_name(header: tuple[bytes, bytes]) -> bytes:
    return header[1].partition(b"=")[0] if header[0].lower() == b"set-cookie" else b""
