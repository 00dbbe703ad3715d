"""Client addresses behind trusted proxies."""

import pytest
from starlette.types import Receive, Scope, Send

from opportune.server.config import ServerConfig

FORWARDED_FOR = "203.0.113.9, 198.51.100.7, 10.0.0.2"
"""An address that the visitor forged, the visitor's address, and the address of the outer proxy."""


@pytest.mark.parametrize(
    ("trusted", "header", "expected"),
    [
        ("", FORWARDED_FOR, "127.0.0.1"),
        ("192.0.2.1", FORWARDED_FOR, "127.0.0.1"),
        ("127.0.0.1", FORWARDED_FOR, "10.0.0.2"),
        ("127.0.0.1,10.0.0.0/8", FORWARDED_FOR, "198.51.100.7"),
        ("*", FORWARDED_FOR, "10.0.0.2"),
        ("*, 10.0.0.0/8", FORWARDED_FOR, "198.51.100.7"),
        ("*", "203.0.113.9", "203.0.113.9"),
        ("*", "203.0.113.9:4711", "203.0.113.9"),
        ("*", "203.0.113.9, [2001:db8::7]:4711", "2001:db8::7"),
        ("*", "203.0.113.9,", "127.0.0.1"),
        ("*", "", "127.0.0.1"),
    ],
)
async def test_last_entry_before_trusted_proxies_is_the_client(trusted: str, header: str, expected: str) -> None:
    addresses = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        addresses.append(scope["client"][0])

    config = ServerConfig(app, proxy_headers=bool(trusted), forwarded_allow_ips=trusted, log_config=None)
    config.load()
    site = config.loaded_app
    # Proxies send one header, or one per address.
    for headers in ([header], header.split(", ")):
        raw = [(b"x-forwarded-for", value.encode()) for value in headers]
        await site({"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": raw}, None, None)
    assert addresses == [expected] * 2
