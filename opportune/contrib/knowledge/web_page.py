"""Web pages, fetched from public addresses only."""

import asyncio
import codecs
from contextlib import suppress
from typing import Any, NamedTuple

from opportune.contrib.extraction.pages import Unreadable
from opportune.i18n import gettext_lazy as _l

MAX_REDIRECTS = 5
UNKNOWN_TO_BROWSERS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
"""Character sets of Python only. They may be slow, and raise other errors."""
TIMEOUT_SECONDS = 30.0
"""Timeout of a page with its redirects."""

PAGE_PROBLEMS = {
    "url": _l("%(name)s is not the address of a web page. Use one that begins with http:// or https://."),
    "private": _l("%(name)s leads into a private network, so it is not read. Upload the page as a file."),
    "unreachable": _l("%(name)s cannot be reached. Check the address and try again."),
    "status": _l("%(name)s does not exist or may not be read without signing in. Upload the page as a file."),
    "large": _l("%(name)s is too large. Upload the part that you need as a file."),
    "unavailable": _l("%(name)s could not be read at the moment. Try again later."),
}
"""Sentences about pages that cannot be read, by the code of `Unreadable`."""


class WebPage(NamedTuple):
    filename: str
    """Last part of the URL, with the suffix of HTML pages."""
    content: bytes


async def fetch_page(url: str, max_bytes: int, **options: Any) -> WebPage:
    """Return a web page. `options` are others of `public_client`.

    Raises:
        Unreadable: It cannot be fetched.
    """
    import httpx2  # slow

    from opportune.contrib.public_client import PrivateAddress, ResponseTooLarge, public_client

    client = public_client(timeout=TIMEOUT_SECONDS, max_bytes=max_bytes, max_redirects=MAX_REDIRECTS, **options)
    headers = {"Accept": "text/html, */*;q=0.5"}
    try:
        if httpx2.URL(url).userinfo:
            raise Unreadable("url")
        async with asyncio.timeout(TIMEOUT_SECONDS), client, client.stream("GET", url, headers=headers) as response:
            is_compressed = response.headers.get("Content-Encoding", "identity") != "identity"
            if response.status_code != httpx2.codes.OK or is_compressed:
                raise Unreadable("status" if response.is_client_error else "unavailable")
            content = await response.aread()
    except PrivateAddress:
        raise Unreadable("private") from None
    except ResponseTooLarge:
        raise Unreadable("large") from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        raise Unreadable("url") from None
    except (httpx2.HTTPError, TimeoutError):
        raise Unreadable("unreachable") from None
    filename = _filename(response.url.path, response.headers.get("Content-Type", ""))
    return WebPage(filename, _as_utf8(content, response.charset_encoding))


def _filename(path: str, content_type: str) -> str:
    name = path.rpartition("/")[2] or "index"
    return f"{name}.html" if content_type.startswith(("text/html", "application/xhtml")) else name


def _as_utf8(content: bytes, charset: str | None) -> bytes:
    with suppress(LookupError, UnicodeError):
        if charset and codecs.lookup(charset).name not in UNKNOWN_TO_BROWSERS:
            return content.decode(charset).encode()
    return content
