"""Messages about wrong usage of the command line. Uses only the standard library."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from opportune.errors.suggestions import did_you_mean

DJANGO_COMMANDS = {
    "collectstatic": "Omit it: the site serves static/ as it is.",
    "createcachetable": "Omit it: migrate creates the table.",
    "diffsettings": "Use env, which lists the settings that are set.",
    "testserver": "Use loaddata, then runserver.",
    "version": "Use oppman.py --version.",
}
"""Django's commands without an equivalent of the same name."""


def no_such_option(option: str, options: Iterable[str]) -> str:
    """Return `No such option: --wiht. Did you mean --with?`, without the hint if no option is similar."""
    long_options = [name.removeprefix("--") for name in options if name.startswith("--")]
    return f"No such option: {option}.{did_you_mean(option.lstrip('-'), long_options, prefix='--')}"


def unknown_command(name: str, names: Iterable[str]) -> str:
    """Return `Unknown command 'migrat'. Did you mean migrate?`, or what replaces a command of Django."""
    if name in DJANGO_COMMANDS:
        return f"{name} is a command of Django. {DJANGO_COMMANDS[name]}"
    return f"Unknown command {name!r}.{did_you_mean(name, names)}"


def empty_value(arguments: Sequence[str]) -> str:
    """Return a message about an empty value, which a shell makes of an unset variable; empty if there is none."""
    pairs = pairwise(arguments)
    name = next((option.strip() or before for before, option in pairs if re.fullmatch(r"(--[\w-]+=)?\s*", option)), "")
    return f"The value after {name} is empty. Enter one, or omit it." if name else ""


def wrong_usage(command: str, message: str) -> str:
    """Return the error message, with a hint to the help."""
    python = "python3 " if command.startswith("oppman.py") else ""
    return f"{command}: {message if message.endswith(('.', '?')) else f'{message}.'} See: {python}{command} --help"
