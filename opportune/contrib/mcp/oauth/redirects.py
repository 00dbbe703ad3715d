"""Redirect addresses of programs: exactly as registered, with TLS or on the user's computer."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from pydantic import AnyUrl, TypeAdapter, ValidationError

MAX_REDIRECT_LENGTH = 1000
LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
EDITOR_SCHEMES = ("cursor", "vscode", "vscode-insiders", "windsurf")
"""Allowed private-use schemes (RFC 8252, 7.1). Other schemes could do more than open a program."""
REDIRECT_RULE = (
    "redirect_uris must use https:, http: on 127.0.0.1, [::1] or localhost, or an editor's scheme"
    f" ({', '.join(f'{scheme}:' for scheme in EDITOR_SCHEMES)}: the name of an extension, without a query),"
    " without a fragment or a password."
)

_url_adapter: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl, config={"url_preserve_empty_path": True})


def parse_redirect(text: str) -> AnyUrl | None:
    """Parse and normalize a URL, or return None if it is not allowed."""
    try:
        url = _url_adapter.validate_python(text[: MAX_REDIRECT_LENGTH + 1])
    except ValidationError:
        return None
    is_safe = (url.scheme == "https" and url.host) or is_loopback(url) or _is_editor_extension(url)
    is_plain = url.fragment is None and url.username is None and url.password is None
    return url if is_safe and is_plain and len(str(url)) <= MAX_REDIRECT_LENGTH else None


def _is_editor_extension(url: AnyUrl) -> bool:
    """Return True for an extension's URL. Commands of editors have a name without a dot, or a query."""
    return url.scheme in EDITOR_SCHEMES and "." in (url.host or "") and url.query is None


def opens_an_editor(redirect_uri: str) -> bool:
    return redirect_uri.partition(":")[0] in EDITOR_SCHEMES


def is_loopback(url: AnyUrl) -> bool:
    return url.scheme == "http" and url.host in LOOPBACK_HOSTS


def find_redirect(registered: Sequence[str], requested: str | None) -> str | None:
    """Return the requested address if it is registered. Default: the only registered one.

    On the user's computer the port may differ (RFC 8252, 7.3).
    """
    if requested is None:
        return registered[0] if len(registered) == 1 else None
    url = parse_redirect(requested)
    allowed = [_comparison_key(candidate) for candidate in map(parse_redirect, registered) if candidate]
    return str(url) if url and _comparison_key(url) in allowed else None


def _comparison_key(url: AnyUrl) -> Any:
    """Return the parts that must be equal: all, except the port of the user's computer."""
    return (url.host, url.path or "/", url.query) if is_loopback(url) else str(url)


def host_of(redirect_uri: str) -> str:
    """Return the host to show to users, or "" for their own computer."""
    url = parse_redirect(redirect_uri)
    if url is None or url.scheme != "https":
        return ""
    return url.host or ""


def with_parameters(redirect_uri: str, **parameters: str) -> str:
    separator = "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{separator}{urlencode(parameters)}"
