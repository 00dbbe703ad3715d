"""Short descriptions of devices, made from User-Agent headers."""

import pytest

from opportune.web.client import describe_user_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/142.0 Safari/537.36", "Chrome on Mac"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.0 Safari/605.1.15", "Safari on Mac"),
        (f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {WEBKIT} CriOS/142 Safari/604.1", "Chrome on iPhone"),
        (f"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) {WEBKIT} Version/18.0 Safari/604.1", "Safari on iPad"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/142.0 Safari/537.36", "Chrome on ChromeOS"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/142.0 Safari/537.36 OPR/120.0", "Opera on Linux"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("curl/8.16.0", "curl"),
        ("okhttp/5.0 (Linux)", "okhttp"),
        ("Mozilla/5.0", "Unknown device"),
        ("", "Unknown device"),
        ("\x00<b>\ud800", "Unknown device"),
    ],
)
def test_device_description(agent: str, text: str) -> None:
    assert describe_user_agent(agent) == text


def test_device_description_is_short() -> None:
    assert len(describe_user_agent("x" * 256)) == 40
