"""The table of hosts and their detection."""

import pytest

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
