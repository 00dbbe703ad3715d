"""Web pages, fetched from public addresses only."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from opportune.contrib.extraction.pages import Unreadable
from opportune.i18n import gettext_lazy as _l
from opportune.web.remote_responses import read_body

MAX_REDIRECTS = 5
TIMEOUT_SECONDS = 30.0
"""Timeout of a page with its redirects."""
ASSIGNED_IPV6 = ip_network("2000::/3")
"""Network of all public IPv6 addresses."""
PRIVATE_NETWORKS = [
    ip_network("2002::/16"),  # leads to an IPv4 address
    ip_network("168.63.129.16"),  # the host of a machine at Azure
    *map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")),
]
"""Networks that `is_global` does not know, at least before Python 3.13."""

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
    address = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    if address.is_multicast or any(address in network for network in PRIVATE_NETWORKS):
        return False
    return address.is_global and (isinstance(address, IPv4Address) or address in ASSIGNED_IPV6)


async def fetch_page(url: str, max_bytes: int, is_allowed: Callable[[Address], bool] = is_public) -> WebPage:
    """Return a web page.

    Raises:
        Unreadable: It cannot be fetched. Each redirect is checked as the first URL.
    """
    import httpx2  # slow

    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for _redirect in range(MAX_REDIRECTS + 1):
                page = await _fetch(url, max_bytes, is_allowed)
                if isinstance(page, WebPage):
                    return page
                url = page
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError, UnicodeError):
        raise Unreadable("unreachable") from None
    raise Unreadable("unreachable")


async def _fetch(url: str, max_bytes: int, is_allowed: Callable[[Address], bool]) -> WebPage | str:
    """Return the page, or the URL of a redirect. The connection goes to the checked address."""
    import httpx2

    try:
        page = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise Unreadable("url") from None
    if page.scheme not in ("http", "https") or not page.host or page.userinfo:
        raise Unreadable("url")
    host = page.raw_host.decode()
    target = page.copy_with(host=str(await _resolve(host, page.port or page.scheme, is_allowed)))
    headers = {"Host": page.netloc.decode(), "Accept": "text/html, */*;q=0.5", "Accept-Encoding": "identity"}
    client = httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS, verify=page.scheme == "https")
    extensions = {"sni_hostname": host}
    async with client, client.stream("GET", target, headers=headers, extensions=extensions) as response:
        if response.is_redirect and (location := response.headers.get("Location")):
            return str(page.join(location))
        if response.status_code != httpx2.codes.OK:
            raise Unreadable("status" if response.is_client_error else "unavailable")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreadable("unavailable")
        content = await read_body(response.aiter_raw(), max_bytes)
    if content is None:
        raise Unreadable("large")
    filename = _filename(page.path, response.headers.get("Content-Type", ""))
    return WebPage(filename, _as_utf8(content, response.charset_encoding))


async def _resolve(host: str, port: int | str, is_allowed: Callable[[Address], bool]) -> Address:
    """Return the first address of a host. Refuse the host if any of its addresses is private."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    if not all(map(is_allowed, addresses)):
        raise Unreadable("private")
    return addresses[0]


def _filename(path: str, content_type: str) -> str:
    name = path.rpartition("/")[2] or "index"
    return f"{name}.html" if content_type.startswith(("text/html", "application/xhtml")) else name


def _as_utf8(content: bytes, charset: str | None) -> bytes:
    with suppress(LookupError, UnicodeDecodeError):
        return content.decode(charset).encode() if charset else content
    return content
