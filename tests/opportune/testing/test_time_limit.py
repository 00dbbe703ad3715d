"""Time limit of asynchronous tests."""

import asyncio
import traceback

import pytest

from opportune.testing.time_limit import limited


async def wait_forever() -> None:
    await asyncio.Event().wait()


async def test_hanging_test_fails_at_its_line() -> None:
    with pytest.raises(TimeoutError) as failure:
        await limited(wait_forever, 0.01)()
    assert "await asyncio.Event().wait()" in "".join(traceback.format_exception(failure.value))
