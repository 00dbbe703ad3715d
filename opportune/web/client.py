"""Address and user agent of the client."""

import re
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import NamedTuple, Self

from starlette.requests import HTTPConnection

from opportune.db.sessions.dependencies import on_site
from opportune.i18n import gettext

# The first match wins, because most browsers also send the names of others that follow here.
BROWSERS = (
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Vivaldi", "Vivaldi"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Headless Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)
PRODUCT_PATTERN = re.compile(r"([A-Za-z][\w.+-]{0,39})(?:/\S*)?")


class Client(NamedTuple):
    """Client of a request, for services that do not know the request."""

    address: str = ""
    """Address from `client_address`."""
    user_agent: str = ""

    @classmethod
    def of(cls, request: HTTPConnection) -> Self:
        """Return the client of a request, with texts cut to the length of the columns that store them."""
        return cls(client_address(request)[:64], request.headers.get("user-agent", "")[:256])


def client_address(request: HTTPConnection) -> str:
    """Return the address of the client, behind trusted proxies. For IPv6, return its /64 network."""
    peer = request.client.host if request.client else ""
    header = on_site(request).app.state.settings.client_address_header
    values = request.headers.getlist(header) if header else []
    # The host's proxy adds the last value. Visitors can forge the values before it.
    forwarded = values[-1].rpartition(",")[2].strip() if values else ""
    for host in filter(None, (forwarded, peer)):
        with suppress(ValueError):  # a forged header, a Unix socket or a test client
            return _normalize(host)
    return peer


@lru_cache(1024)
def _normalize(host: str) -> str:
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return str(address)
    # Dual-stack sockets show IPv4 addresses as mapped IPv6 addresses.
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def describe_user_agent(agent: str) -> str:
    """Return a description such as `Firefox on Windows`. Other programs are described by the name they send."""
    browser = next((name for token, name in BROWSERS if f"{token}/" in agent), "")
    system = next((name for token, name in SYSTEMS if token in agent), "")
    if browser and system:
        return gettext("%(browser)s on %(system)s", browser=browser, system=system)
    if browser:
        return browser
    product = PRODUCT_PATTERN.match(agent)
    if product and product[1] != "Mozilla":
        return product[1]
    return system or gettext("Unknown device")
