"""Time limit of asynchronous tests, which fail with the line that waits.

A fixture or a synchronous test that hangs ends its process after pytest's `faulthandler_timeout`, which also prints it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator
from functools import wraps
from typing import ParamSpec, TypeVar

import pytest

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

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


def limited(
    function: Callable[Parameters, Awaitable[Result]], seconds: float | None
) -> Callable[Parameters, Awaitable[Result]]:
    """Limit the time of a test."""

    @wraps(function)
    async def limited_function(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        async with asyncio.timeout(seconds) as limit:
            _limits.add(limit)
            try:
                return await function(*args, **kwargs)
            finally:
                _limits.remove(limit)

    return limited_function
