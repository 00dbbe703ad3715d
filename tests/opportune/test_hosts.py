"""The table of hosts, by which a site knows where it is."""

import pytest

from opportune.config.hosts import DOCKER_STOP_SECONDS, HOST_VARIABLES, HOSTS, current_host, shutdown_seconds
from opportune.web.endpoints.health import HEALTH_PATHS


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOST_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_each_host_is_recognised_by_what_it_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert current_host() is None
    assert shutdown_seconds() == DOCKER_STOP_SECONDS
    for variable in HOST_VARIABLES:
        with monkeypatch.context() as here:
            here.setenv(variable, "site")
            first = next((host for host in HOSTS.values() if host.variable == variable), None)
            assert current_host() is first
            assert shutdown_seconds() == (first.stop_seconds if first else DOCKER_STOP_SECONDS)


def test_every_host_asks_for_an_address_that_there_is() -> None:
    assert {host.health_path for host in HOSTS.values()} <= HEALTH_PATHS
    assert all(name == host.name for name, host in HOSTS.items())
