"""Messages about wrong usage of the command line."""

from collections.abc import Iterable

from opportune.runtime.suggestions import did_you_mean


def no_such_option(option: str, options: Iterable[str]) -> str:
    """Return `No such option: --wiht. Did you mean --with?`, without the hint if no option is similar."""
    long_options = [name.removeprefix("--") for name in options if name.startswith("--")]
    return f"No such option: {option}.{did_you_mean(option.lstrip('-'), long_options, prefix='--')}"


def unknown_command(name: str, names: Iterable[str]) -> str:
    """Return `Unknown command 'migrat'. Did you mean migrate?`; empty for known commands."""
    names = list(names)
    return "" if name in names else f"Unknown command {name!r}.{did_you_mean(name, names)}"


def wrong_usage(command: str, message: str) -> str:
    """Return the error message, with a hint to the help."""
    python = "python3 " if command.startswith("oppman.py") else ""
    return f"{command}: {message if message.endswith(('.', '?')) else f'{message}.'} See: {python}{command} --help"
