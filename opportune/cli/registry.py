"""Names of all commands, and the overview that `--help` shows. It imports no command and no Typer.

It works with the standard library alone, since it runs before anything is installed.
"""

import os
import sys
from importlib.machinery import PathFinder
from pkgutil import get_data
from typing import TYPE_CHECKING

from opportune.cli.terminal import columns, fold, styled

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "oppman.py"
COMMANDS = {
    "Project": ("startproject", "quickstart", "upgrade", "lock", "env", "diffsettings", "secrets"),
    "Development": ("runserver", "test", "shell", "routes", "check", "sendtestemail", "llm"),
    "Scaffold": ("startapp", "addmodel", "removemodel", "removeapp"),
    "Database": (
        *(
            "migrate",
            "makemigrations",
            "showmigrations",
            "sqlmigrate",
            "squashmigrations",
            "backup",
            "restore",
            "copydb",
        ),
        *("dumpdata", "loaddata", "flush", "demo", "inspectdb", "dbshell", "doctor"),
    ),
    "Accounts": ("createsuperuser", "changepassword", "clearsessions", "users"),
    "Jobs": ("worker", "jobs"),
    "Deploy": ("deploy",),
}
"""Commands by family. The family `Database` is the folder `opportune/cli/database`, with a file for each command."""
MODULES = {name: f"opportune.cli.{family.lower()}.{name}" for family, names in COMMANDS.items() for name in names}
OPTIONS = {
    "-q, --quiet": "Say nothing but what was asked for, and what is wrong.",
    "-v, --verbose": "Say more; of a bug, its traceback.",
    "--version": "Tell the release of the framework that the site stands on.",
    "--install-completion": "Let the shell complete commands and options with Tab.",
    "--show-completion": "Show what that would install.",
    "-h, --help": "Show this; after a command, its options.",
}
COMPLETING = "_OPPMAN.PY_COMPLETE"
"""Set by a shell that asks for completions, which come without any words."""


def asks_for_overview(arguments: list[str]) -> bool:
    return arguments in ([], ["-h"], ["--help"], ["help"]) and COMPLETING not in os.environ


def show_overview() -> int:
    """Print the help that lists every command."""
    try:
        print("\n".join(overview()), flush=True)
    except BrokenPipeError:
        return reader_left()
    return 0


def overview() -> "Iterator[str]":
    """The help that lists every command, in lines as wide as the terminal."""
    yield f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]..."
    yield ""
    yield "  Run and look after your site."
    features = {f"Feature {name}": commands for name, commands in feature_commands().items()}
    families = {family: {name: help_line(name) for name in names} for family, names in COMMANDS.items()}
    sections = {**families, **features, "Options": OPTIONS}
    width = max(len(name) for section in sections.values() for name in section)
    room = max(columns() - width - 4, 20) if columns() else 0
    for heading, entries in sections.items():
        yield ""
        yield styled(f"{heading}:", "bold")
        for name, text in entries.items():
            first, *rest = fold(text, room)
            yield f"  {styled(name, 'cyan')}{' ' * (width - len(name))}  {first}".rstrip()
            yield from (f"{' ' * (width + 4)}{line}" for line in rest)


def help_line(name: str) -> str:
    """Return the first line of a command's file, which is its help; no command is imported."""
    path = MODULES[name].removeprefix("opportune.cli.").replace(".", "/") + ".py"
    source = get_data("opportune.cli", path) or b""
    return source.decode().partition("\n")[0].strip('"')


def reader_left() -> int:
    """Nobody reads the rest (`| head`): also keep Python from complaining when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def feature_commands() -> dict[str, dict[str, str]]:
    """The features with commands, each with its commands and a line on them; no feature is imported."""
    files = command_files()
    if not files:
        return {}
    from opportune.cli.feature_commands import commands_in  # noqa: PLC0415 - it parses Python, and most have none

    return {name: commands_in(name, file) for name, file in files.items()}


def command_files() -> dict[str, str]:
    """The file of each feature that has commands."""
    folder = features_folder()
    files = {name: os.path.join(folder, name, "commands.py") for name in sorted(os.listdir(folder))} if folder else {}
    return {name: file for name, file in files.items() if name not in MODULES and os.path.isfile(file)}


def features_folder() -> str:
    """Return the folder of the project's features; empty if it has none."""
    found = PathFinder.find_spec(os.environ.get("OPPORTUNE_PROJECT", "app"))
    return next(iter(found.submodule_search_locations or ()), "") if found else ""
