"""Run the tests, with arguments and options of pytest.

`test -- --help` prints the help of pytest. `-n 4` uses four processes; `-n` or no arguments use all cores.
`test --accept-access` runs no tests. It writes the response of each URL to each role into `tests/NAME/access.txt`.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from opportune.cli.environment.locks import DEV, FRAMEWORK, FRAMEWORK_TESTS, ONLY_PROJECT, TESTS, locks_of_tests
from opportune.cli.output import warn
from opportune.cli.process import exec_process
from opportune.errors import OperatorError
from opportune.project.layout import ONLY_DATABASE, PROJECT
from opportune.project.pyproject import read_pyproject

CONTEXT_SETTINGS = {"ignore_unknown_options": True}
ACCEPT_ACCESS = "--accept-access"
MARKER_PACKAGES = {DEV: "pytest", FRAMEWORK: "moto"}
"""Packages that show that a lock is installed."""


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PYTEST_ARGUMENTS]...", help="For example tests/books -x.", show_default=False),
    ] = None,
    project: Annotated[bool, typer.Option(ONLY_PROJECT, help="Run only the project's tests.")] = False,
    framework: Annotated[bool, typer.Option("--framework", help="Run only the framework's tests.")] = False,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="Skip tests on PostgreSQL.")] = False,
    postgres: Annotated[bool, typer.Option("--postgres", "--postgresql", help="Skip tests on SQLite.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Run only tests with a browser.")] = False,
    accept_access: Annotated[
        bool, typer.Option(ACCEPT_ACCESS, help="Write tests/NAME/access.txt, and print the changed lines to review.")
    ] = False,
) -> None:
    if project and framework:
        raise typer.BadParameter("--project and --framework cannot be combined.")
    if sqlite and postgres:
        raise typer.BadParameter("--sqlite and --postgres cannot be combined.")
    if framework and not FRAMEWORK_TESTS.is_dir():
        raise OperatorError("This project does not include the framework's tests. Omit --framework.")
    if accept_access and (arguments or project or framework or sqlite or postgres or browser):
        raise typer.BadParameter(f"{ACCEPT_ACCESS} runs no tests and has no other options.")
    _require_installed([ONLY_PROJECT, *(arguments or [])] if project else arguments or [])
    os.chdir(PROJECT)
    read_pyproject(PROJECT)  # contains the options of pytest
    if accept_access:
        exec_process([sys.executable, "-m", "opportune.testing.access"])
    # Let Python cache bytecode, because many processes import the same modules.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if sqlite or postgres:
        environ[ONLY_DATABASE] = "sqlite" if sqlite else "postgresql"
    # The framework's tests often wait for servers. Another process for other tests would start its own browser.
    processes = (os.cpu_count() or 1) + (FRAMEWORK_TESTS.is_dir() and not project)
    options = [*_cache_options(), *_selection_options(project=project, framework=framework, browser=browser)]
    options += _with_process_count(arguments or ["-n"], processes)
    exec_process([sys.executable, "-m", "pytest", *options], environ)


def _selection_options(*, project: bool, framework: bool, browser: bool) -> Iterator[str]:
    if project:
        yield from (str(TESTS), f"--ignore={FRAMEWORK_TESTS}")
    elif framework:
        yield str(FRAMEWORK_TESTS)
    if browser:
        yield from ("-m", "e2e")


def _cache_options() -> list[str]:
    """Return options that disable pytest's cache if the project is read-only, because its warning would be an error."""
    if os.access(PROJECT, os.W_OK):
        return []
    warn(f"{PROJECT} is read-only, so pytest cannot remember failed tests.")
    return ["-p", "no:cacheprovider"]


def _require_installed(selection: list[str]) -> None:
    """Check that there are tests, and that their packages are installed."""
    if not TESTS.is_dir() and all(word.startswith("-") for word in selection):
        raise OperatorError(f"There is no folder {TESTS}. Create it, or name the files with your tests.")
    if missing := [lock for lock in locks_of_tests(selection) if not importlib.util.find_spec(MARKER_PACKAGES[lock])]:
        install = " ".join(f"-r {lock}" for lock in missing)
        raise OperatorError(f"These tests need more packages. Install them: python3 -m pip install --no-deps {install}")


def _with_process_count(arguments: Sequence[str], processes: int) -> Iterator[str]:
    """Add the number of processes after each `-n` that has none.

    A process gets tests that follow each other, so that tests of a module share its fixtures.
    """
    for word, next_word in zip(arguments, [*arguments[1:], ""], strict=True):
        yield word
        if word == "-n" and not re.fullmatch(r"\d+|auto|logical", next_word):
            yield from (str(processes), "--dist", "worksteal")
