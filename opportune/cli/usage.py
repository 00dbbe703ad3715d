"""Messages about wrong usage of the command line. Uses only the standard library."""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from opportune.errors.suggestions import did_you_mean

REMOVED_COMMANDS = {
    "diffsettings": "use env, which lists the settings that are set, or env --json.",
    "removemodel": "use git restore or git revert, or delete the code of the model and run makemigrations.",
}
DJANGO_COMMANDS = {
    "collectstatic": "Omit it: the site serves static/ as it is.",
    "createcachetable": "Omit it: migrate creates the table.",
    "testserver": "Use loaddata, then runserver.",
    "version": "Use oppman.py --version.",
}
"""Django's commands without an equivalent of the same name."""
REMOVED_OPTIONS = {
    "--here": "omit it. The project is created beside the clone, which you can delete.",
    "--by-hand": "omit it, and write the pages as in `oppman.py docs cookbook`.",
}
"""Commands and options of earlier versions, with their replacements."""


def no_such_option(option: str, options: Iterable[str]) -> str:
    """Return `No such option: --wiht. Did you mean --with?`, without the hint if no option is similar."""
    if option in REMOVED_OPTIONS:
        return f"{option} was removed: {REMOVED_OPTIONS[option]}"
    long_options = [name.removeprefix("--") for name in options if name.startswith("--")]
    return f"No such option: {option}.{did_you_mean(option.lstrip('-'), long_options, prefix='--')}"


def unknown_command(name: str, names: Iterable[str], subcommands: Collection[str]) -> str:
    """Return `Unknown command 'migrat'. Did you mean migrate?`, or the removal of a command of earlier versions.

    Args:
        name: The unknown name.
        names: Names of all commands.
        subcommands: Commands with a subcommand of this name, such as `deploy rehearse`.
    """
    if name in REMOVED_COMMANDS:
        return f"{name} was removed: {REMOVED_COMMANDS[name]}"
    if name in DJANGO_COMMANDS:
        return f"{name} is a command of Django. {DJANGO_COMMANDS[name]}"
    hint = f" Did you mean {' or '.join(subcommands)}?" if subcommands else did_you_mean(name, names)
    return f"Unknown command {name!r}.{hint}"


def empty_value(arguments: Sequence[str]) -> str:
    """Return a message about an empty value, which a shell makes of an unset variable; empty if there is none."""
    pairs = pairwise(arguments)
    name = next((option.strip() or before for before, option in pairs if re.fullmatch(r"(--[\w-]+=)?\s*", option)), "")
    return f"The value after {name} is empty. Enter one, or omit it." if name else ""


def wrong_usage(command: str, message: str) -> str:
    """Return the error message, with a hint to the help."""
    python = "python3 " if command.startswith("oppman.py") else ""
    return f"{command}: {message if message.endswith(('.', '?')) else f'{message}.'} See: {python}{command} --help"
