"""Time limit of asynchronous tests, which fail with the line that waits.

A fixture or a synchronous test that hangs ends its process after `faulthandler_timeout`, which prints its line as well.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from functools import wraps
from typing import Any

import pytest

AsyncTest = Callable[..., Awaitable[None]]

LIMIT_SECONDS = 240
"""Limit of a test. A busy machine takes many times as long as an idle one."""

_limits = set[asyncio.Timeout]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        marker = item.get_closest_marker("time_limit")
        item.obj = limited(item.obj, marker.args[0] if marker else LIMIT_SECONDS)
    return (yield)


def pytest_enter_pdb() -> None:
    """Give the developer time."""
    for limit in _limits:
        limit.reschedule(None)


def limited(test: AsyncTest, seconds: float | None) -> AsyncTest:
    @wraps(test)
    async def limited_test(**fixtures: Any) -> None:
        async with asyncio.timeout(seconds) as limit:
            _limits.add(limit)
            try:
                await test(**fixtures)
            finally:
                _limits.remove(limit)

    return limited_test
