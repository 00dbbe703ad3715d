"""Messages about a wrong command line."""

from collections.abc import Iterable

from opportune.runtime.suggestions import did_you_mean


def no_such_option(word: str, options: Iterable[str]) -> str:
    """`No such option: --wiht. Did you mean --with?`, or its first half where no long option is near."""
    long = [option.removeprefix("--") for option in options if option.startswith("--")]
    return f"No such option: {word}.{did_you_mean(word.lstrip('-'), long, prefix='--')}"


def unknown_command(name: str, names: Iterable[str]) -> str:
    """Return `Unknown command 'migrat'. Did you mean migrate?`, or nothing if there is such a command."""
    names = list(names)
    return "" if name in names else f"Unknown command {name!r}.{did_you_mean(name, names)}"


def wrong_usage(command: str, message: str) -> str:
    """The line for it, which ends with where to read on."""
    return f"{command}: {message if message.endswith(('.', '?')) else f'{message}.'} See: python3 {command} --help"
