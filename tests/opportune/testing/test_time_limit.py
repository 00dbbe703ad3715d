"""Time limit of asynchronous tests and fixtures."""

import asyncio
import traceback
from collections.abc import AsyncIterator

import pytest

from opportune.testing.time_limit import limited, limited_generator, pytest_enter_pdb


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def test_hanging_test_fails_at_its_line() -> None:
    with pytest.raises(TimeoutError) as failure:
        await limited(wait_forever, 0.01)()
    assert "await asyncio.Event().wait()" in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize("hangs_after_yield", [False, True])
async def test_each_half_of_a_fixture_has_a_limit(hangs_after_yield: bool) -> None:
    async def fixture() -> AsyncIterator[str]:
        if not hangs_after_yield:
            await wait_forever()
        yield "value"
        await wait_forever()

    values = aiter(limited_generator(fixture, 0.01)())
    if hangs_after_yield:
        assert await anext(values) == "value"
    with pytest.raises(TimeoutError):
        await anext(values)


async def test_fixture_yields_once() -> None:
    async def fixture() -> AsyncIterator[int]:
        yield 1
        yield 2

    values = aiter(limited_generator(fixture, 0.01)())
    await anext(values)
    with pytest.raises(pytest.fail.Exception, match="more than once"):
        await anext(values)


async def test_debugger_removes_the_limit() -> None:
    async def debugged_test() -> bool:
        pytest_enter_pdb()
        await asyncio.sleep(0.02)
        return True

    assert await limited(debugged_test, 0.01)()
