"""Names of all commands, and the overview for `--help`.

Uses only the standard library and imports no command, because it runs before packages are installed.
"""

import ast
import os
import sys
from pkgutil import get_data
from typing import TYPE_CHECKING

from opportune.cli.terminal import columns, fold, styled
from opportune.config.feature_packages import HAS_PROJECT, feature_packages, project_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "oppman.py" if HAS_PROJECT else "python -m opportune"
COMMANDS = {
    "Project": ("startproject", "quickstart", "upgrade", "install", "lock", "env", "diffsettings", "secrets"),
    "Development": ("runserver", "test", "shell", "routes", "openapi", "check", "docs", "mcp", "sendtestemail", "llm"),
    "Scaffold": ("startapp", "addapp", "addmodel", "removeapp"),
    "Translations": ("makemessages", "compilemessages"),
    "Database": (
        *("migrate", "makemigrations", "showmigrations", "sqlmigrate", "squashmigrations", "backup", "restore"),
        *("copydb", "dumpdata", "loaddata", "flush", "demo", "inspectdb", "dbshell", "doctor"),
    ),
    "Accounts": ("createsuperuser", "changepassword", "clearsessions", "users"),
    "Jobs": ("worker", "jobs"),
    "Deploy": ("deploy",),
}
"""Commands by family. The family `Database` is the folder `opportune/cli/database`, with a file for each command."""
MODULES = {name: f"opportune.cli.{family.lower()}.{name}" for family, names in COMMANDS.items() for name in names}
OPTIONS = {
    "-q, --quiet": "Print only results and errors.",
    "-v, --verbose": "Print more details, and the traceback of unexpected errors.",
    "--version": "Print the version of the framework.",
    "--install-completion": "Install completion of commands and options with Tab.",
    "--show-completion": "Print the completion script.",
    "-h, --help": "Print this help, or the help of a command.",
}
COMPLETION_VARIABLE = "_OPPMAN.PY_COMPLETE"
"""Environment variable set by a shell that requests completions. Such a call has no arguments."""


def is_overview_request(arguments: list[str]) -> bool:
    return arguments in ([], ["-h"], ["--help"], ["help"]) and COMPLETION_VARIABLE not in os.environ


def show_overview() -> int:
    """Print the help with all commands."""
    try:
        print("\n".join(overview()), flush=True)
    except BrokenPipeError:
        return handle_broken_pipe()
    return 0


def overview() -> "Iterator[str]":
    """Yield the lines of the help with all commands, as wide as the terminal."""
    yield f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]..."
    yield ""
    yield "  Run and manage your site."
    features = {f"Feature {name}": commands for name, commands in feature_commands().items()}
    families = {family: {name: help_line(name) for name in names} for family, names in COMMANDS.items()}
    sections = {**families, **features, "Options": OPTIONS}
    width = max(len(name) for section in sections.values() for name in section)
    text_width = max(columns() - width - 4, 20) if columns() else 0
    for heading, entries in sections.items():
        yield ""
        yield styled(f"{heading}:", "bold")
        for name, text in entries.items():
            first_line, *other_lines = fold(text, text_width)
            yield f"  {styled(name, 'cyan')}{' ' * (width - len(name))}  {first_line}".rstrip()
            yield from (f"{' ' * (width + 4)}{line}" for line in other_lines)


def help_line(name: str) -> str:
    """Return the one-line help of a command: the first line of its file, which is not imported."""
    return _source_of(name).decode().partition("\n")[0].strip('"')


def _source_of(name: str) -> bytes:
    path = MODULES[name].removeprefix("opportune.cli.").replace(".", "/") + ".py"
    return get_data("opportune.cli", path) or b""


def describe_command(name: str) -> str:
    """Return the help of a command without its options, which need packages; the overview for other names."""
    if name in MODULES:
        source = _source_of(name)
    elif name in (files := command_files()):
        with open(files[name], "rb") as file:
            source = file.read()
    else:
        return "\n".join(overview())
    text = ast.get_docstring(ast.parse(source)) or ""
    note = "The options are listed here once packages are installed, for example by `quickstart`."
    return f"Usage: {PROGRAM} {name} [OPTIONS] [ARGS]...\n\n{text}\n\n{note}"


def handle_broken_pipe() -> int:
    """Discard further output, so that Python reports no error when it exits, and return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def feature_commands() -> dict[str, dict[str, str]]:
    """Return the one-line helps of the features' commands, by feature, without importing them."""
    files = command_files()
    if not files:
        return {}
    from opportune.cli.feature_commands import commands_in  # noqa: PLC0415 - parses Python, not needed by most projects

    return {name: commands_in(name, file) for name, file in files.items()}


def command_files() -> dict[str, str]:
    """Return the paths of the features' `commands.py`, by feature."""
    folder = project_folder()
    folders = {name: os.path.join(folder, name) for name in sorted(os.listdir(folder))} if folder else {}
    files = {name: os.path.join(path, "commands.py") for name, path in (folders | feature_packages()).items()}
    return {name: file for name, file in files.items() if name not in MODULES and os.path.isfile(file)}
