"""Who sends a request, as far as the connection tells."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple, Self

from starlette.requests import HTTPConnection


class Client(NamedTuple):
    """What code below the routes is given in place of the request."""

    address: str = ""
    """As `client_address` has it."""
    user_agent: str = ""

    @classmethod
    def of(cls, request: HTTPConnection) -> Self:
        """The client that sends this request."""
        return cls(client_address(request), request.headers.get("user-agent", ""))


def client_address(request: HTTPConnection) -> str:
    """Who sends this, behind trusted proxies. Of IPv6 the network, in which one visitor has all addresses."""
    peer = request.client.host if request.client else ""
    for host in (_forwarded_address(request), peer):
        with suppress(ValueError):  # what a visitor made up, a Unix socket's, or a test's
            return _visitor(ip_address(host))
    return peer


def _visitor(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4:
        return str(address)
    # One that listens on both kinds sees those of IPv4 so, all of them in one network.
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def _forwarded_address(request: HTTPConnection) -> str:
    """What the host's proxy says, which comes last if a visitor has sent the header, too."""
    header = request.app.state.settings.client_address_header
    values = request.headers.getlist(header) if header else []
    return values[-1].rpartition(",")[2].strip() if values else ""
