"""Reports of code that blocks the event loop."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

import pytest
import uvloop
from jinja2 import Environment, FileSystemLoader

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.features.core import running_process
from opportune.server import loop_monitor
from opportune.server.loop_monitor import is_blocked, monitor_loop
from tests.opportune.guides import read_guide

THIS_FILE = "tests/opportune/server/test_loop_monitor.py"
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class Listener(logging.Handler):
    """Collects the messages of the monitor."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = SimpleQueue[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put(record.getMessage())

    async def wait_for_report(self, block_loop: Callable[[], object]) -> str:
        """Block the loop until the monitor reports it. A busy machine may need several tries."""
        for _ in range(20):
            block_loop()
            try:
                return await asyncio.to_thread(self.lines.get, timeout=0.3)
            except Empty:
                continue
        raise AssertionError("The monitor reported nothing.")


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    loop_monitor.logger.addHandler(listener)
    yield listener
    loop_monitor.logger.removeHandler(listener)


@pytest.fixture
async def active_monitor(listener: Listener) -> AsyncIterator[Listener]:
    async with monitor_loop():
        yield listener


def sleep() -> None:
    time.sleep(0.2)


def wait() -> None:
    threading.Event().wait(0.2)


def location_of(function: Callable[[], object]) -> str:
    return f"{THIS_FILE}:{function.__code__.co_firstlineno + 1} "


@pytest.mark.parametrize("loop_factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_blocking_call_is_reported_with_its_line(listener: Listener, loop_factory: LoopFactory) -> None:
    async def scenario() -> None:
        async with monitor_loop():
            line = await listener.wait_for_report(sleep)
        assert line.startswith(f"{location_of(sleep)}(time.sleep(0.2)) blocked the event loop for 0.")
        assert line[line.index(" s. ") :] in read_guide("async.md")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


async def test_blocking_library_is_reported_with_its_caller(active_monitor: Listener) -> None:
    line = await active_monitor.wait_for_report(wait)
    assert line.startswith(f"{location_of(wait)}(threading.Event().wait(0.2), inside threading.Condition.wait) blocked")


async def test_blocking_template_is_reported_with_its_line(active_monitor: Listener) -> None:
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["sleep"] = time.sleep
    line = await active_monitor.wait_for_report(lambda: templates.get_template("slow_page.html").render(seconds=0.2))
    assert line.startswith("tests/opportune/server/slow_page.html:3 (<p>{{ seconds | sleep }}</p>) blocked")


async def test_line_is_reported_once_a_minute(active_monitor: Listener) -> None:
    await active_monitor.wait_for_report(sleep)
    sleep()
    assert (await active_monitor.wait_for_report(wait)).startswith(location_of(wait))


@pytest.mark.parametrize(
    ("waited_seconds", "cpu_seconds", "expected"),
    [(0.13, 0.0, True), (0.5, 0.4, True), (3.0, 0.01, False)],
    ids=["blocking call", "computation", "stopped process"],
)
def test_stopped_process_is_not_blocked(waited_seconds: float, cpu_seconds: float, expected: bool) -> None:
    assert is_blocked(waited_seconds, cpu_seconds) is expected


def count_monitor_threads() -> int:
    return sum(thread.name == "loop-watcher" for thread in threading.enumerate())


@pytest.mark.parametrize(("environment", "number"), [("development", 1), ("test", 0), ("production", 0)])
async def test_monitor_runs_in_development(
    settings: Settings, environment: Literal["development", "test", "production"], number: int
) -> None:
    app = create_app(settings.model_copy(update={"environment": environment}))
    async with running_process(app.state.services):  # of the site or a worker
        assert count_monitor_threads() == number
    assert count_monitor_threads() == 0
