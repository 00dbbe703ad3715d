"""Names of all commands, the overview for `--help`, and messages about wrong usage.

Uses only the standard library and imports no command, because it runs before packages are installed. Features register
their commands in `Feature(commands=…)`, which is read from the source of the features.
"""

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import pairwise

from opportune.cli.terminal import columns, fold, styled
from opportune.errors.suggestions import did_you_mean
from opportune.project.current import HAS_PROJECT
from opportune.project.installed import installed_features
from opportune.project.optional_features import NotLiteral, commands_of_installed, source_of

PROGRAM = "oppman.py" if HAS_PROJECT else "python -m opportune"
COMMANDS = {
    "Project": ("startproject", "quickstart", "upgrade", "install", "lock", "env", "secrets"),
    "Development": ("runserver", "test", "shell", "routes", "openapi", "check", "sendtestemail", "clearcache"),
    "Scaffold": ("startapp", "addapp", "addmodel", "removeapp"),
    "Database": ("migrate", "makemigrations", "showmigrations", "sqlmigrate", "squashmigrations", "demo", "dbshell"),
    "Accounts": ("createsuperuser", "changepassword", "clearsessions", "users"),
    "Jobs": ("worker", "jobs"),
}
"""Commands by family. The family `Database` is the folder `opportune/cli/database`, with a file for each command."""
MODULES = {name: f"opportune.cli.{family.lower()}.{name}" for family, names in COMMANDS.items() for name in names}
OPTIONS = {
    "-q, --quiet": "Print only results and errors.",
    "-v, --verbose": "Print more details, and the traceback of unexpected errors.",
    "--version": "Print the version of the framework.",
    "--install-completion": "Install completion of commands and options with Tab.",
    "-h, --help": "Print this help, or the help of a command.",
}
COMPLETION_VARIABLE = "_OPPMAN.PY_COMPLETE"
"""Environment variable set by a shell that requests completions. Such a call has no arguments."""
DJANGO_COMMANDS = {
    "collectstatic": "Omit it: the site serves static/ as it is.",
    "createcachetable": "Omit it: migrate creates the table.",
    "diffsettings": "Use env, which lists the settings that are set.",
    "testserver": "Use loaddata, then runserver.",
    "version": "Use oppman.py --version.",
}
"""Django's commands without an equivalent of the same name."""

NO_ANSWER = "The question has no answer. Use a terminal, --yes, or an option with the value (see --help)."


def is_overview_request(arguments: list[str]) -> bool:
    return arguments in ([], ["-h"], ["--help"], ["help"]) and COMPLETION_VARIABLE not in os.environ


def show_overview() -> int:
    """Print the help with all commands."""
    return _print_lines(overview())


def _print_lines(lines: Iterable[str]) -> int:
    """Print each line when it is ready, and return the exit code."""
    try:
        for line in lines:
            print(line, flush=True)  # `overview` imports the features after the first lines
    except OSError as error:
        return handle_output_error(error)
    return 0


def overview() -> Iterator[str]:
    """Yield the lines of the help with all commands, as wide as the terminal."""
    yield f"Usage: {PROGRAM} [OPTIONS] COMMAND [ARGS]..."
    yield ""
    yield "  Run and manage your site."
    width = max(map(len, (*MODULES, *OPTIONS)))
    for family, names in COMMANDS.items():
        yield from _section(family, {name: help_line(MODULES[name]) for name in names}, width)
    yield from _section("Options", OPTIONS, width)
    try:
        features = _feature_commands()
    except Exception as error:  # noqa: BLE001 - importing a feature runs any code, and the help is still useful
        reason = f"{type(error).__name__}: {error}" if find_spec("fastapi") else "Install the packages."
        yield ""
        yield f"Commands of features are not listed. {reason}".partition("\n")[0]
        return
    for feature, modules in features.items():
        lines = {name: help_line(module) for name, module in modules.items()}
        yield from _section(f"Feature {feature}", lines, max(width, *map(len, lines)))


def _section(heading: str, entries: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield a heading, and each entry with its text beside a column of this width."""
    text_width = max(columns() - width - 4, 20) if columns() else 0
    yield ""
    yield styled(f"{heading}:", "bold")
    for name, text in entries.items():
        first_line, *other_lines = fold(text, text_width)
        yield f"  {styled(name, 'cyan')}{' ' * (width - len(name))}  {first_line}".rstrip()
        yield from (f"{' ' * (width + 4)}{line}" for line in other_lines)


def help_line(module: str) -> str:
    """Return the one-line help of a command: the first line of its module, which is not imported."""
    return source_of(module).decode(errors="replace").partition("\n")[0].strip('"')


def show_help(name: str) -> int:
    """Print the help of a command without its options, which need packages; the overview for other names."""
    module = ""
    with suppress(Exception):  # if the list of features is computed, reading it needs packages
        module = command_module(name)
    if not module:
        return show_overview()
    text = ast.get_docstring(ast.parse(source_of(module))) or ""
    note = "The options are listed here once packages are installed, for example by `quickstart`."
    return _print_lines([f"Usage: {PROGRAM} {name} [OPTIONS] [ARGS]...", "", text, "", note])


def handle_output_error(error: OSError) -> int:
    """Discard further output, so that Python reports no error when it exits, and return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not isinstance(error, BrokenPipeError):
        print(f"The output cannot be written: {error.strerror}.", file=sys.stderr)
    return 1


def _feature_commands() -> dict[str, dict[str, str]]:
    """Return the modules of commands by name, for each installed feature with commands.

    A command of the framework with the same name takes precedence.
    """
    try:
        declared: Mapping[str, Mapping[str, str]] = commands_of_installed()
    except NotLiteral:
        declared = {feature.name: feature.commands for feature in installed_features()}
    commands = {
        feature: {name: module for name, module in modules.items() if name not in MODULES}
        for feature, modules in declared.items()
    }
    return {feature: modules for feature, modules in commands.items() if modules}


def feature_modules() -> dict[str, str]:
    """Return the modules of the commands of all installed features by name."""
    return {name: module for modules in _feature_commands().values() for name, module in modules.items()}


def command_module(name: str) -> str:
    """Return the module of a command; empty if no command has this name."""
    return MODULES.get(name) or feature_modules().get(name, "")


def no_such_option(option: str, options: Iterable[str]) -> str:
    """Return `No such option: --wiht. Did you mean --with?`, without the hint if no option is similar."""
    long_options = [name.removeprefix("--") for name in options if name.startswith("--")]
    return f"No such option: {option}.{did_you_mean(option.lstrip('-'), long_options, prefix='--')}"


def unknown_command(name: str, names: Iterable[str]) -> str:
    """Return `Unknown command 'migrat'. Did you mean migrate?`, or what replaces a command of Django."""
    if name in DJANGO_COMMANDS:
        return f"{name} is a command of Django. {DJANGO_COMMANDS[name]}"
    return f"Unknown command {name!r}.{did_you_mean(name, names)}"


def empty_value(arguments: Sequence[str]) -> str | None:
    """Return a message about an empty value, such as one from an unset variable of a shell; None without one."""
    for before, option in pairwise(arguments):
        if re.fullmatch(r"(--[\w-]+=)?\s*", option):
            return f"The value after {option.strip() or before} is empty. Enter one, or omit it."
    return None


def wrong_usage(command: str, message: str) -> str:
    """Return the error message, with a hint to the help."""
    python = "python3 " if command.startswith("oppman.py") else ""
    sentence = message if message.endswith((".", "?")) else f"{message}."
    return f"{command}: {sentence} See: {python}{command} --help"
