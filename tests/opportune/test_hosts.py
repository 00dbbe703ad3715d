"""The table of hosts, their detection, and host names in ASCII."""

import pytest

from opportune.config.host_names import ascii_host
from opportune.config.hosts import DOCKER_STOP_SECONDS, HOST_VARIABLES, HOSTS, current_host, shutdown_seconds


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_host_is_detected_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_host() is None
    assert shutdown_seconds() == DOCKER_STOP_SECONDS
    for variable in HOST_VARIABLES:
        with monkeypatch.context() as patch:
            patch.setenv(variable, "site")
            expected_host = next((host for host in HOSTS.values() if host.variable == variable), None)
            assert current_host() is expected_host
            assert shutdown_seconds() == (expected_host.stop_seconds if expected_host else DOCKER_STOP_SECONDS)


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("Example.org", "Example.org"),
        ("bücher.example.", "xn--bcher-kva.example."),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        (f"{'a' * 63}.org", f"{'a' * 63}.org"),
    ],
)
def test_host_is_converted_to_ascii(name: str, ascii_name: str) -> None:
    assert ascii_host(name) == ascii_name


@pytest.mark.parametrize("name", ["", ".", "a..b", "ü..b", "a" * 64, "ü" * 64])
def test_invalid_host_is_empty(name: str) -> None:
    assert ascii_host(name) == ""
