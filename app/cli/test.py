"""`oppman.py test`: pytest, in the project's folder."""

import importlib.util
import os
import sys
from typing import Annotated

import typer

from app.cli.environment import DEV, FRAMEWORK, PROJECT, locks_of_tests
from app.cli.process import become
from app.core.errors import OperatorError

CONTEXT_SETTINGS = {"ignore_unknown_options": True}
TELLING = {DEV: "pytest", FRAMEWORK: "moto"}
"""Where this is, somebody installed that lock."""


def command(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="PYTEST_ARGUMENTS", show_default=False)] = None,
) -> None:
    """Run the tests; arguments and options are pytest's (its own help: test -- --help)."""
    if missing := [lock for lock in locks_of_tests(arguments or []) if not importlib.util.find_spec(TELLING[lock])]:
        install = " ".join(f"-r {lock}" for lock in missing)
        raise OperatorError(f"These tests need more than is installed here: python3 -m pip install --no-deps {install}")
    os.chdir(PROJECT)
    # The whole suite takes every core, and one process more, since each now and then waits for a server. A part of it
    # would wait longer for them than it runs.
    become([sys.executable, "-m", "pytest", *(arguments or ["-n", str((os.cpu_count() or 1) + 1)])])
