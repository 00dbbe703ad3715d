"""A command of oppman.py as the work of a job."""

import pytest

from opportune.errors import OperatorError
from opportune.jobs import run_command


async def test_what_a_command_complains_of_is_why_the_job_failed() -> None:
    with pytest.raises(OperatorError, match=r"^PORT: [^\n]*$"):
        await run_command("migrate", "--check", environ={"PORT": "none"})


async def test_a_command_that_succeeds_says_nothing() -> None:
    await run_command("--help")
