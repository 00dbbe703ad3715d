"""Every command with its line of help, and the overview that `--help` shows: no command and no Typer is imported.

It works with the standard library alone, since it runs before anything is installed.
"""

import os
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from opportune.cli.terminal import columns, fold, styled

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "oppman.py"
COMMANDS = {
    "Project": {
        "startproject": "Begin a project of your own.",
        "quickstart": "Set up everything and run the site.",
        "upgrade": "Take the next release of the framework, on a branch of git.",
        "lock": "Make the requirements locks again.",
        "env": "List the settings that are set, and by what; write a first .env.",
        "diffsettings": "List the settings that differ from their defaults.",
        "secrets": "Make a SECRET_KEY, or put a newer one into .env.",
    },
    "Development": {
        "runserver": "Run the site; in development it reloads itself.",
        "test": "Run the tests; arguments and options are pytest's.",
        "shell": "Open an async Python shell with the models at hand.",
        "routes": "List the addresses of the site.",
        "check": "Look for mistakes in settings and database.",
        "sendtestemail": "Send an e-mail to see whether mail arrives.",
        "llm": "List, ask or evaluate the language models; off and on.",
    },
    "Scaffold": {
        "startapp": "Create a feature of your own.",
        "addmodel": "Add a model to a feature: table, pages, API, admin, tests.",
        "removemodel": "Take a model out of a feature, with a migration.",
        "removeapp": "Delete a feature with everything that is its own.",
    },
    "Database": {
        "migrate": "Apply migrations, or go back to one.",
        "makemigrations": "Write the migrations that the models ask for.",
        "showmigrations": "List the migrations and mark the applied ones.",
        "sqlmigrate": "Show the SQL of one migration.",
        "squashmigrations": "Put one migration in the place of all of a feature's.",
        "backup": "Put database and uploads into one file.",
        "restore": "Bring database and uploads back from a backup.",
        "copydb": "Copy everything into another database.",
        "dumpdata": "Write rows as JSON.",
        "loaddata": "Add rows from JSON files.",
        "flush": "Delete all rows and keep the tables.",
        "demo": "Load or clear the demonstration data.",
        "inspectdb": "Write models of tables that are there already.",
        "dbshell": "Open the database's own client.",
        "doctor": "Examine the database and say what is wrong with it.",
    },
    "Accounts": {
        "createsuperuser": "Create somebody who may use the admin.",
        "changepassword": "Set somebody's password.",
        "clearsessions": "Throw out sessions and tokens that are over, and old account events.",
        "users": "List, add, change or delete users.",
    },
    "Jobs": {
        "worker": "Do the jobs that the site queues.",
        "jobs": "List, show, retry or cancel jobs; the address for a cron service.",
    },
    "Deploy": {
        "deploy": "Write a host's files, check the settings by its rules, rehearse it here.",
    },
}
"""Help lines by family. The family `Database` is the folder `opportune/cli/database`."""
HELPS = {name: line for family in COMMANDS.values() for name, line in family.items()}
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
    sections = {**COMMANDS, **features, "Options": OPTIONS}
    width = max(len(name) for section in sections.values() for name in section)
    room = max(columns() - width - 4, 20) if columns() else 0
    for heading, entries in sections.items():
        yield ""
        yield styled(f"{heading}:", "bold")
        for name, text in entries.items():
            first, *rest = fold(text, room)
            yield f"  {styled(name, 'cyan')}{' ' * (width - len(name))}  {first}".rstrip()
            yield from (f"{' ' * (width + 4)}{line}" for line in rest)


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
    return {name: file for name, file in files.items() if name not in HELPS and os.path.isfile(file)}


def features_folder() -> str:
    """Where the project has its features; empty where it has no folder."""
    found = PathFinder.find_spec(os.environ.get("OPPORTUNE_PROJECT", "app"))
    return next(iter(found.submodule_search_locations or ()), "") if found else ""
