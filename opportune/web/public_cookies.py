"""Cookies with choices of a browser that pages of all visitors may depend on, such as its time zone."""

from starlette.types import Scope


def take_cookie(scope: Scope, prefix: bytes) -> tuple[Scope, str | None]:
    """Return the scope without a cookie, and its value. `prefix` is the name with an equals sign.

    Without this cookie, requests that have no other one can be served from the cache.
    """
    headers, value, is_changed = [], None, False
    for name, header in scope["headers"]:
        if name != b"cookie" or prefix not in header:
            headers.append((name, header))
            continue
        is_changed = True
        parts = [part.strip() for part in header.split(b";")]
        other_cookies = [part for part in parts if not part.startswith(prefix)]
        for part in parts:
            if part.startswith(prefix):
                value = part.removeprefix(prefix).decode("latin-1")
        if other_cookies:
            headers.append((name, b"; ".join(other_cookies)))
    return {**scope, "headers": headers} if is_changed else scope, value
