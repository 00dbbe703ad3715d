"""HTTP client for URLs that users enter, such as webhooks. It connects to addresses of the public internet only.

Importing httpx2 is slow, so import this module where a request is sent, such as in a job.
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2

from opportune.contrib.bounded_responses import is_compressed, limit_body
from opportune.web.remote_responses import tls_context

ASSIGNED_IPV6 = ip_network("2000::/3")
"""Network of all public IPv6 addresses."""
PRIVATE_NETWORKS = [
    ip_network("2002::/16"),  # leads to an IPv4 address
    ip_network("168.63.129.16"),  # the host of a machine at Azure
    *map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")),
]
"""Networks that `is_global` does not know, at least before Python 3.13."""

Address = IPv4Address | IPv6Address


class PrivateAddress(httpx2.ConnectError):
    """The URL, or a redirect of it, leads into a private network."""


class ResponseTooLarge(httpx2.ReadError):
    """The body of the response is compressed or exceeds the limit. Its status and headers were read."""


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet."""
    address = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    if address.is_multicast or any(address in network for network in PRIVATE_NETWORKS):
        return False
    return address.is_global and (isinstance(address, IPv4Address) or address in ASSIGNED_IPV6)


def public_client(
    *,
    timeout: float = 10.0,
    max_bytes: int = 1_000_000,
    max_redirects: int = 0,
    is_allowed: Callable[[Address], bool] = is_public,
) -> httpx2.AsyncClient:
    """Return a client that raises PrivateAddress for URLs that lead into a private network.

    Each redirect is checked like the first URL, and the connection goes to the address that was checked.

    Args:
        timeout: Maximum seconds for connecting, and for each read and write.
        max_bytes: Maximum size of a response. Reading a larger one raises ResponseTooLarge.
        max_redirects: Number of redirects to follow.
        is_allowed: Accepts the addresses of a host. In tests, it can accept this machine.

    Returns:
        The client: `async with public_client() as client, client.stream("POST", url, json=event) as response: …`
    """
    return httpx2.AsyncClient(
        transport=_PublicTransport(max_bytes, is_allowed),
        timeout=timeout,
        headers={"Accept-Encoding": "identity"},  # a compressed response can have any size
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
        trust_env=False,
    )


class _PublicTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, max_bytes: int, is_allowed: Callable[[Address], bool]) -> None:
        # A connection belongs to an address, which hosts with other certificates can share, so it is not reused.
        super().__init__(tls_context(), trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0))
        self._max_bytes = max_bytes
        self._is_allowed = is_allowed

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx2.UnsupportedProtocol("The URL does not begin with http:// or https:// and a host.")
        host = url.raw_host.decode()
        response = await super().handle_async_request(
            httpx2.Request(
                request.method,
                url.copy_with(host=str(await _resolve(host, url.port or url.scheme, self._is_allowed))),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
        )
        too_large = ResponseTooLarge("The response is too large or compressed.")
        limit_body(response, 0 if is_compressed(response) else self._max_bytes, too_large)
        return response


async def _resolve(host: str, port: int | str, is_allowed: Callable[[Address], bool]) -> Address:
    """Return the first address of a host. Refuse the host if any of its addresses is private."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpx2.ConnectError("The host of the URL has no address.") from error
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    if not all(map(is_allowed, addresses)):
        raise PrivateAddress("The URL leads into a private network.")
    return addresses[0]
