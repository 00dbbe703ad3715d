"""Commands of oppman.py in jobs."""

import pytest

from opportune.errors import OperatorError
from opportune.jobs import run_command


async def test_error_of_a_command_fails_the_job() -> None:
    with pytest.raises(OperatorError, match=r"^PORT: [^\n]*$"):
        await run_command("migrate", "--check", environ={"PORT": "none"})


async def test_successful_command_returns() -> None:
    await run_command("--help")
