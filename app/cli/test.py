"""`oppman.py test`: pytest, in the project's folder."""

import importlib.util
import os
import sys
from typing import Annotated

import typer

from app.cli.environment import DEV, PROJECT
from app.cli.process import become
from app.core.errors import OperatorError

CONTEXT_SETTINGS = {"ignore_unknown_options": True}


def command(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="PYTEST_ARGUMENTS", show_default=False)] = None,
) -> None:
    """Run the tests; arguments and options are pytest's (its own help: test -- --help)."""
    if not importlib.util.find_spec("pytest"):
        raise OperatorError(f"pytest is not installed here: python3 -m pip install --no-deps -r {DEV}")
    os.chdir(PROJECT)
    # The whole suite takes every core, and one process more, since each now and then waits for a server. A part of it
    # would wait longer for them than it runs.
    become([sys.executable, "-m", "pytest", *(arguments or ["-n", str((os.cpu_count() or 1) + 1)])])
