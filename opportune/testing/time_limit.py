"""Time limit of asynchronous tests and fixtures, which fail with the line that waits.

A synchronous test that hangs ends its process after pytest's `faulthandler_timeout`, which also prints that line.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

LIMIT_SECONDS = 240
"""Limit of a test and of each half of a fixture. A busy machine takes many times as long as an idle one."""

_limits = set[asyncio.Timeout]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        marker = item.get_closest_marker("time_limit")
        item.obj = limited(item.obj, marker.args[0] if marker else LIMIT_SECONDS)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    with pytest.MonkeyPatch.context() as patch:
        if inspect.iscoroutinefunction(fixturedef.func):
            patch.setattr(fixturedef, "func", limited(fixturedef.func, LIMIT_SECONDS))
        elif inspect.isasyncgenfunction(fixturedef.func):
            patch.setattr(fixturedef, "func", limited_generator(fixturedef.func, LIMIT_SECONDS))
        return (yield)


def pytest_enter_pdb() -> None:
    """Give the developer time."""
    for limit in _limits:
        limit.reschedule(None)


def limited(
    function: Callable[Parameters, Awaitable[Result]], seconds: float | None
) -> Callable[Parameters, Awaitable[Result]]:
    """Limit the time of a test, or of a fixture that returns."""

    @wraps(function)
    async def limited_function(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        async with time_limit(seconds):
            return await function(*args, **kwargs)

    return limited_function


def limited_generator(
    function: Callable[Parameters, AsyncIterator[Result]], seconds: float
) -> Callable[Parameters, AsyncIterator[Result]]:
    """Limit the time before and after the `yield` of a fixture."""

    @wraps(function)
    async def limited_function(*args: Parameters.args, **kwargs: Parameters.kwargs) -> AsyncIterator[Result]:
        values = function(*args, **kwargs)
        async with time_limit(seconds):
            value = await anext(values)
        yield value
        async with time_limit(seconds):
            async for _ in values:
                pytest.fail("The fixture yields more than once.")

    return limited_function


@asynccontextmanager
async def time_limit(seconds: float | None) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds) as limit:
        _limits.add(limit)
        try:
            yield
        finally:
            _limits.remove(limit)
