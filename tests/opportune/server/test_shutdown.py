"""Shutdown of servers and of their supervisor."""

import asyncio
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from uvicorn.supervisors.multiprocess import SIGNALS, Process

from opportune.server.config import ServerConfig
from opportune.server.garbage_collection import tune_gc
from opportune.server.shutdown import shutting_down, watch_signals
from opportune.server.supervisor import Supervisor


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.state.shutting_down = asyncio.Event()
    return app


@pytest.fixture
def default_gc_thresholds() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*thresholds)


class Cycle:
    """An object that refers to itself, as compiled statements do."""

    def __init__(self) -> None:
        self.reference = self


async def test_signal_reaches_the_application_and_the_server(app: FastAPI) -> None:
    handle = Mock()
    previous_handler = signal.signal(signal.SIGTERM, handle)
    try:
        async with watch_signals(app):
            assert not shutting_down(app).is_set()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.wait_for(shutting_down(app).wait(), TIMEOUT_SECONDS)
        assert [call.args[0] for call in handle.mock_calls] == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is handle
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


async def test_restarted_application_is_not_stopping(app: FastAPI) -> None:
    async with watch_signals(app):
        pass
    assert shutting_down(app).is_set()
    async with watch_signals(app):
        assert not shutting_down(app).is_set()


def test_application_runs_in_a_thread_without_signals(app: FastAPI) -> None:
    async def run() -> None:
        async with watch_signals(app):
            assert not shutting_down(app).is_set()

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    assert shutting_down(app).is_set()


@pytest.mark.usefixtures("default_gc_thresholds")
def test_old_garbage_is_freed_after_tuning() -> None:
    tune_gc()
    old_object = Cycle()
    finalizer = weakref.finalize(old_object, int)  # unlike a call of a reference, `alive` does not keep the object
    gc.collect()  # moves it to the oldest generation
    del old_object
    surviving: list[list[int]] = []
    while finalizer.alive and len(surviving) < MAX_OBJECTS_BEFORE_FULL_COLLECTION:
        surviving.append([])
    assert not finalizer.alive


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


def test_stop_signal_ends_the_wait_for_a_new_worker(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Process(supervisor.config, [])
    supervisor.processes.append(worker)
    monkeypatch.setattr(worker.process, "is_alive", lambda: True)
    monkeypatch.setattr(worker, "is_ready", lambda **_: supervisor.should_exit.set())
    supervisor.keep_subprocess_alive()
    assert supervisor.processes == [worker]


def test_supervisor_ends_if_no_worker_starts(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "exitcode", 1)
    supervisor.processes.append(Process(supervisor.config, []))
    supervisor.keep_subprocess_alive()
    assert supervisor.should_exit.is_set()


def test_workers_start_without_shared_memory(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.server.supervisor.Shares", Mock(side_effect=FileNotFoundError))
    supervisor.processes_num = 0
    supervisor.init_processes()
    assert supervisor.config.shares is None


def test_stop_signal_ends_the_import_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    exit_codes: list[int] = []
    monkeypatch.setattr(os, "_exit", exit_codes.append)
    ServerConfig(lambda: signal.raise_signal(signal.SIGINT), factory=True).load()
    assert exit_codes == [0]


MAX_OBJECTS_BEFORE_FULL_COLLECTION = 1_000_000
