"""Run the tests; arguments and options are pytest's.

Its own help: test -- --help. `-n 4` runs them in so many processes; `-n` alone, or no arguments, on all cores.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from opportune.cli.environment.entry import DEV, FRAMEWORK, FRAMEWORK_TESTS, ONLY_PROJECT, TESTS, locks_of_tests
from opportune.cli.process import exec_process
from opportune.config.project import PROJECT
from opportune.errors import OperatorError

CONTEXT_SETTINGS = {"ignore_unknown_options": True}
MARKER_PACKAGES = {DEV: "pytest", FRAMEWORK: "moto"}
"""Packages that show that a lock is installed."""
ONLY_DATABASE = "OPPORTUNE_TEST_DATABASE"
"""Tells `opportune.testing.plugin` the only kind of database to ask."""


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PYTEST_ARGUMENTS]...", help="Such as tests/books -x.", show_default=False),
    ] = None,
    project: Annotated[bool, typer.Option(ONLY_PROJECT, help="Only the project's own tests.")] = False,
    framework: Annotated[bool, typer.Option("--framework", help="Only the framework's.")] = False,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="Leave out what needs PostgreSQL.")] = False,
    postgres: Annotated[
        bool, typer.Option("--postgres", "--postgresql", help="Leave out what is asked on SQLite, too.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Only what drives a browser.")] = False,
) -> None:
    words = [*([ONLY_PROJECT] if project else []), *(arguments or [])]
    for one, other in {"project": "framework", "sqlite": "postgres"}.items():
        if locals()[one] and locals()[other]:
            raise typer.BadParameter(f"--{one} and --{other} exclude each other.")
    if framework and not FRAMEWORK_TESTS.is_dir():
        raise OperatorError("The framework's own tests are not in this project: leave out --framework.")
    require_installed(words)
    os.chdir(PROJECT)
    folders = [str(TESTS), f"--ignore={FRAMEWORK_TESTS}"] if project else [str(FRAMEWORK_TESTS)] if framework else []
    marks = ["-m", "e2e"] if browser else []
    # Many processes import the same: they find it compiled, whatever the machine would have for other programs.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if sqlite or postgres:
        environ[ONLY_DATABASE] = "sqlite" if sqlite else "postgresql"
    processes = count_processes(is_whole=FRAMEWORK_TESTS.is_dir() and not project)
    given = in_processes(arguments or ["-n"], processes)
    exec_process([sys.executable, "-m", "pytest", *folders, *marks, *given], environ)


def require_installed(words: list[str]) -> None:
    """See to it that what the tests need is there.

    Raises:
        OperatorError: with the line that installs it.
    """
    if missing := [lock for lock in locks_of_tests(words) if not importlib.util.find_spec(MARKER_PACKAGES[lock])]:
        install = " ".join(f"-r {lock}" for lock in missing)
        raise OperatorError(f"These tests need more than is installed here: python3 -m pip install --no-deps {install}")


def count_processes(*, is_whole: bool) -> int:
    """One for each core. With the framework's tests one more, since each now and then waits for a server.

    The project's own are done in less time than another process would take to begin, with a browser of its own.
    """
    return (os.cpu_count() or 1) + is_whole


def in_processes(words: Sequence[str], processes: int) -> Iterator[str]:
    """The words, with a number behind an `-n` that has none."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        yield word
        if word == "-n" and not re.fullmatch(r"\d+|auto|logical", following):
            yield str(processes)
