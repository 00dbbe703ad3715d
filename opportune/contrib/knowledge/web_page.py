"""Web pages, fetched from public addresses only."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from opportune.contrib.extraction.pages import Unreadable
from opportune.i18n import gettext_lazy as _l
from opportune.web.remote_responses import read_body

MAX_REDIRECTS = 5
TIMEOUT_SECONDS = 30.0
"""Timeout of a page with its redirects."""
EMBEDDED_IPV4 = [ip_network("64:ff9b::/96"), ip_network("2002::/16")]
"""IPv6 networks that lead to an IPv4 address."""

PAGE_PROBLEMS = {
    "url": _l("%(name)s is not the address of a web page. Use one that begins with http:// or https://."),
    "private": _l("%(name)s leads into a private network, so it is not read. Upload the page as a file."),
    "unreachable": _l("%(name)s cannot be reached. Check the address and try again."),
    "status": _l("%(name)s does not exist or may not be read without signing in. Upload the page as a file."),
    "large": _l("%(name)s is too large. Upload the part that you need as a file."),
    "unavailable": _l("%(name)s could not be read at the moment. Try again later."),
}
"""Sentences about pages that cannot be read, by the code of `Unreadable`."""

Address = IPv4Address | IPv6Address


class WebPage(NamedTuple):
    filename: str
    """Last part of the URL, with the suffix of HTML pages."""
    content: bytes


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet."""
    if isinstance(address, IPv6Address):
        if any(address in network for network in EMBEDDED_IPV4):
            return False
        address = address.ipv4_mapped or address
    return address.is_global and not address.is_multicast


async def fetch_page(url: str, max_bytes: int, is_allowed: Callable[[Address], bool] = is_public) -> WebPage:
    """Return a web page.

    Raises:
        Unreadable: It cannot be fetched. Each redirect is checked as the first URL.
    """
    import httpx2  # takes 0.2 s

    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _redirect in range(MAX_REDIRECTS + 1):
                page = await _fetch(url, max_bytes, is_allowed)
                if isinstance(page, WebPage):
                    return page
                url = urljoin(url, page)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError, UnicodeError):
        raise Unreadable("unreachable") from None
    raise Unreadable("unreachable")


async def _fetch(url: str, max_bytes: int, is_allowed: Callable[[Address], bool]) -> WebPage | str:
    """Return the page, or the URL of a redirect. The connection goes to the checked address."""
    import httpx2

    host, address = await _resolve(url, is_allowed)
    parts = urlsplit(url)
    netloc = f"[{address}]" if address.version == 6 else str(address)
    if parts.port:
        netloc = f"{netloc}:{parts.port}"
    target = parts._replace(netloc=netloc, fragment="").geturl()
    headers = {"Host": parts.netloc, "Accept": "text/html, */*;q=0.5", "Accept-Encoding": "identity"}
    client = httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS, verify=parts.scheme == "https")
    extensions = {"sni_hostname": host}
    async with client, client.stream("GET", target, headers=headers, extensions=extensions) as response:
        if response.is_redirect and (location := response.headers.get("Location")):
            return str(location)
        if response.status_code != httpx2.codes.OK:
            raise Unreadable("status" if response.is_client_error else "unavailable")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreadable("unavailable")
        content = await read_body(response.aiter_raw(), max_bytes)
    if content is None:
        raise Unreadable("large")
    filename = _filename(parts.path, response.headers.get("Content-Type", ""))
    return WebPage(filename, _as_utf8(content, response.charset_encoding))


async def _resolve(url: str, is_allowed: Callable[[Address], bool]) -> tuple[str, Address]:
    """Return the host and its address. Refuse the host if any of its addresses is private."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unreadable("url") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise Unreadable("url")
    infos = await asyncio.get_running_loop().getaddrinfo(host, port or parts.scheme, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    if not all(map(is_allowed, addresses)):
        raise Unreadable("private")
    return host, addresses[0]


def _filename(path: str, content_type: str) -> str:
    name = unquote(path).rpartition("/")[2] or "index"
    return f"{name}.html" if content_type.startswith(("text/html", "application/xhtml")) else name


def _as_utf8(content: bytes, charset: str | None) -> bytes:
    with suppress(LookupError, UnicodeDecodeError):
        return content.decode(charset).encode() if charset else content
    return content
