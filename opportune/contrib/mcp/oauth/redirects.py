"""Where people are sent back to: exactly what a program has registered, by TLS or on the person's own computer."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from pydantic import AnyUrl, TypeAdapter, ValidationError

MAX_REDIRECT_LENGTH = 1000
LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
EDITOR_SCHEMES = ("cursor", "vscode", "vscode-insiders", "windsurf")
"""That such a program has its computer open it by (RFC 8252, 7.1). Not any: some do more than to open a program."""
REDIRECT_RULE = (
    "redirect_uris are https:, http: on 127.0.0.1, [::1] or localhost, or of an editor"
    f" ({', '.join(f'{scheme}:' for scheme in EDITOR_SCHEMES)}: an extension by its name, without a query),"
    " without a fragment or a password."
)

_url: TypeAdapter[AnyUrl] = TypeAdapter(AnyUrl, config={"url_preserve_empty_path": True})


def parse_redirect(text: str) -> AnyUrl | None:
    """The address, as it is compared; None if nobody may be sent there."""
    try:
        url = _url.validate_python(text[: MAX_REDIRECT_LENGTH + 1])
    except ValidationError:
        return None
    is_safe = (url.scheme == "https" and url.host) or is_loopback(url) or _is_of_an_extension(url)
    is_plain = url.fragment is None and url.username is None and url.password is None
    return url if is_safe and is_plain and len(str(url)) <= MAX_REDIRECT_LENGTH else None


def _is_of_an_extension(url: AnyUrl) -> bool:
    """What editors do by a link alone (open a file, clone, add a server) has a name without a dot, or takes a query."""
    return url.scheme in EDITOR_SCHEMES and "." in (url.host or "") and url.query is None


def opens_an_editor(redirect_uri: str) -> bool:
    return redirect_uri.partition(":")[0] in EDITOR_SCHEMES


def is_loopback(url: AnyUrl) -> bool:
    return url.scheme == "http" and url.host in LOOPBACK_HOSTS


def find_redirect(registered: Sequence[str], asked: str | None) -> str | None:
    """Where to send somebody: what is asked for, if it is registered, or else the only one there is.

    A program on the person's own computer has another port each time (RFC 8252, 7.3): there that does not count.
    """
    if asked is None:
        return registered[0] if len(registered) == 1 else None
    wanted = parse_redirect(asked)
    known = filter(None, map(parse_redirect, registered))
    return str(wanted) if wanted and any(_compared(each) == _compared(wanted) for each in known) else None


def _compared(url: AnyUrl) -> Any:
    return (url.host, url.path or "/", url.query) if is_loopback(url) else str(url)


def host_of(redirect_uri: str) -> str:
    """What people know it by; empty for their own computer."""
    url = parse_redirect(redirect_uri)
    return url.host or "" if url and url.scheme == "https" else ""


def with_answer(redirect_uri: str, **answer: str) -> str:
    """The address with what the program is told."""
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}"
