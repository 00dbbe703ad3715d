import pytest
from starlette.types import Receive, Scope, Send

from opportune.server.proxies import ServerConfig

SENT = "203.0.113.9, 198.51.100.7, 10.0.0.2"
"""What a visitor made up, what the host's proxy saw, and that proxy itself, as an inner one saw it."""


@pytest.mark.parametrize(
    ("trusted", "sent", "expected"),
    [
        ("", SENT, "127.0.0.1"),
        ("192.0.2.1", SENT, "127.0.0.1"),
        ("127.0.0.1", SENT, "10.0.0.2"),
        ("127.0.0.1,10.0.0.0/8", SENT, "198.51.100.7"),
        ("*", SENT, "10.0.0.2"),
        ("*, 10.0.0.0/8", SENT, "198.51.100.7"),
        ("*", "203.0.113.9", "203.0.113.9"),
        ("*", "203.0.113.9:4711", "203.0.113.9"),
        ("*", "203.0.113.9, [2001:db8::7]:4711", "2001:db8::7"),
        ("*", "203.0.113.9,", "127.0.0.1"),
        ("*", "", "127.0.0.1"),
    ],
)
async def test_of_what_came_through_proxies_the_last_entry_counts_that_is_none_of_them(
    trusted: str, sent: str, expected: str
) -> None:
    found = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope["client"][0])

    config = ServerConfig(app, proxy_headers=bool(trusted), forwarded_allow_ips=trusted, log_config=None)
    config.load()
    site = config.loaded_app
    # As one header, and as one for each: proxies do either.
    for headers in ([sent], sent.split(", ")):
        raw = [(b"x-forwarded-for", header.encode()) for header in headers]
        await site({"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": raw}, None, None)
    assert found == [expected] * 2
