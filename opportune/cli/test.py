"""`oppman.py test`: pytest, in the project's folder."""

import importlib.util
import os
import sys
from typing import Annotated

import typer

from opportune.cli.environment import DEV, FRAMEWORK, FRAMEWORK_TESTS, ONLY_PROJECT, TESTS, locks_of_tests
from opportune.cli.process import exec_process
from opportune.errors import OperatorError
from opportune.project import PROJECT

CONTEXT_SETTINGS = {"ignore_unknown_options": True}
MARKER_PACKAGES = {DEV: "pytest", FRAMEWORK: "moto"}
"""Where this is, somebody installed that lock."""


def command(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="PYTEST_ARGUMENTS", show_default=False)] = None,
) -> None:
    """Run the tests; arguments and options are pytest's (its own help: test -- --help).

    With --project only the project's own, without those of the framework.
    """
    words = arguments or []
    if missing := [lock for lock in locks_of_tests(words) if not importlib.util.find_spec(MARKER_PACKAGES[lock])]:
        install = " ".join(f"-r {lock}" for lock in missing)
        raise OperatorError(f"These tests need more than is installed here: python3 -m pip install --no-deps {install}")
    os.chdir(PROJECT)
    only_project = [str(TESTS), f"--ignore={FRAMEWORK_TESTS}"] if ONLY_PROJECT in words else []
    words = [word for word in words if word != ONLY_PROJECT]
    # Many processes import the same: they find it compiled, whatever the machine would have for other programs.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # The whole suite takes every core, and one process more, since each now and then waits for a server. A part of it
    # would wait longer for them than it runs.
    words = words or ["-n", str((os.cpu_count() or 1) + 1)]
    exec_process([sys.executable, "-m", "pytest", *only_project, *words], environ)
