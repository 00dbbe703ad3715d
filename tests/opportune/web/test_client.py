"""Addresses of clients behind proxies, and short descriptions of devices."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from opportune.web.client import client_address, describe_user_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


def request_from(host: str, headers: Sequence[tuple[str, str]] = (), address_header: str = "") -> Request:
    """Return a request from this peer, to a site with the setting CLIENT_ADDRESS_HEADER."""
    app = SimpleNamespace(state=SimpleNamespace(settings=SimpleNamespace(client_address_header=address_header)))
    client = (host, 1) if host else None
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "app": app, "client": client, "headers": pairs})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("testclient", "testclient"),
        pytest.param("", "", id="Unix socket"),
    ],
)
def test_address_of_peer_is_normalized(host: str, expected: str) -> None:
    assert client_address(request_from(host)) == expected


@pytest.mark.parametrize(
    ("setting", "values", "expected"),
    [
        pytest.param("", ["203.0.113.7"], "10.0.0.1", id="header is not trusted"),
        pytest.param("Fly-Client-IP", ["203.0.113.7"], "10.0.0.1", id="another header is trusted"),
        ("X-Real-IP", ["203.0.113.7"], "203.0.113.7"),
        pytest.param("X-Real-IP", ["198.51.100.9, 203.0.113.7"], "203.0.113.7", id="last address counts"),
        pytest.param("X-Real-IP", ["198.51.100.9", "203.0.113.7"], "203.0.113.7", id="last header counts"),
        ("X-Real-IP", ["not an address"], "10.0.0.1"),
    ],
)
def test_address_is_that_of_the_trusted_header(setting: str, values: list[str], expected: str) -> None:
    headers = [("X-Real-IP", value) for value in values] + [("X-Forwarded-For", "198.51.100.9")]
    assert client_address(request_from("10.0.0.1", headers, setting)) == expected


def test_device_description() -> None:
    for agent, text in (
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {WEBKIT} CriOS/142 Safari/604.1", "Chrome on iPhone"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/142.0 Safari/537.36 OPR/120.0", "Opera on Linux"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
        ("curl/8.16.0", "curl"),
        ("", "Unknown device"),
        ("\x00<b>\ud800", "Unknown device"),
    ):
        assert describe_user_agent(agent) == text, agent
