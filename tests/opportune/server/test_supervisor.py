"""Signals of the supervisor of workers."""

import signal
from collections.abc import Iterator

import pytest
from uvicorn.supervisors.multiprocess import SIGNALS

from opportune.server.proxies import ServerConfig
from opportune.server.supervisor import Supervisor

TIMEOUT_SECONDS = 30


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield Supervisor(ServerConfig("app", workers=2), [])
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_the_replacement_of_workers(supervisor: Supervisor, number: signal.Signals) -> None:
    signal.raise_signal(number)
    assert supervisor.should_exit.wait(TIMEOUT_SECONDS)  # uvicorn waits for it beside the new worker
    assert supervisor.signal_queue == [number]
