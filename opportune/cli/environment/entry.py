"""Finds or creates the environment for commands. Uses only the standard library.

An active environment with the dependencies is used unchanged. Otherwise they are installed into `.venv`, and oppman.py
restarts there.
"""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Never

from opportune.cli.environment.installation import UNFINISHED, InstallError, echo
from opportune.cli.environment.locks import BASE
from opportune.cli.environment.virtual_environment import PYTHON, SCRIPT, VENV, are_installed, prepare
from opportune.cli.process import ONE_MALLOC_ARENA, exec_process
from opportune.cli.registry import COMPLETION_VARIABLE, MODULES, PROGRAM, is_overview_request, show_help, wrong_usage
from opportune.errors.suggestions import did_you_mean

COMMON_OPTIONS = ("-q", "--quiet", "-v", "--verbose")
MARKER_PACKAGES = ("alembic", "nh3", "pwdlib", "sqladmin", "typer")
"""Packages whose presence shows that the dependencies are installed."""
PREPARED = "OPPMAN_PREPARED"
"""Environment variable that is set for the restarted oppman.py, to prevent endless restarts."""


def enter(arguments: list[str]) -> None:
    """Return if the packages for the command are installed. Otherwise install them and restart in `.venv`, or exit."""
    try:
        _find_environment(arguments)
    except PermissionError as error:  # such as a Python in the home folder of root
        reason = f"This user may not use {error.filename or VENV} ({error.strerror or error})."
        sys.exit(f"{reason} Give it access, or let this user create {VENV}.")


def _find_environment(arguments: list[str]) -> None:
    is_in_venv = Path(sys.prefix).resolve() == VENV
    if os.environ.pop(PREPARED, "") or _uses_own_packages(is_in_venv=is_in_venv):
        return
    if COMPLETION_VARIABLE in os.environ and not (VENV / BASE).exists():
        sys.exit(1)  # completion must not install packages
    if not are_installed([BASE]):
        _refuse_misspelt_command(arguments)
    if is_overview_request(arguments) or is_help_request(arguments):
        # Install nothing for the help, and continue or restart if the command line can show it.
        if not are_installed([BASE]):
            sys.exit(show_help(command_name(arguments)))
        if not is_in_venv:
            _restart(arguments)
        return
    if sys.prefix != sys.base_prefix and not is_in_venv and not (VENV / BASE).exists():
        echo(f"The active environment ({sys.prefix}) has no dependencies. They are installed into {VENV}.")
    try:
        was_incomplete = prepare(arguments)
    except InstallError as error:
        sys.exit(str(error))
    if was_incomplete or not is_in_venv:
        _restart(arguments)


def _uses_own_packages(*, is_in_venv: bool) -> bool:
    """Return whether the active environment has the packages, and oppman.py has not installed them."""
    is_unpacked = Path(__file__).is_file()  # False in the wheel of vendor/
    was_begun = is_in_venv and ((VENV / BASE).exists() or (VENV / UNFINISHED).exists())
    return not was_begun and is_unpacked and all(map(importlib.util.find_spec, MARKER_PACKAGES))


def _refuse_misspelt_command(arguments: list[str]) -> None:
    """Exit for a misspelt command before packages are installed. Other unknown names may be commands of features."""
    name = command_name(arguments)
    hint = "" if name in MODULES or name.startswith("-") else did_you_mean(name, MODULES)
    if hint:
        print(wrong_usage(PROGRAM, f"Unknown command {name!r}.{hint}"), file=sys.stderr)
        sys.exit(2)


def command_name(arguments: list[str]) -> str:
    words = [word for word in arguments if word not in COMMON_OPTIONS]
    return next(iter(words[1:] if words[:1] == ["help"] else words), "-")


def is_help_request(arguments: list[str]) -> bool:
    own_arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return arguments[:1] == ["help"] or not {"-h", "--help"}.isdisjoint(own_arguments)


def _restart(arguments: list[str]) -> Never:
    """Run the same command with the Python of `.venv`."""
    isolated = ["-I"] if sys.flags.isolated else []
    command = [str(PYTHON), *isolated, str(SCRIPT), *arguments]
    exec_process(command, ONE_MALLOC_ARENA | os.environ | {PREPARED: "1"})
