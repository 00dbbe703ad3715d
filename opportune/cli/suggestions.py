"""What a wrong command line is answered: which word was meant, and where to read on."""

from collections.abc import Iterable
from difflib import get_close_matches

MIN_SIMILARITY = 0.65
"""By difflib's own, 0.6, three letters of five are enough: whoever writes books would have meant tools."""


def did_you_mean(word: str, names: Iterable[str], prefix: str = "") -> str:
    """` Did you mean books?`, or nothing where no name is near; for the end of an error."""
    near = get_close_matches(word, list(names), n=1, cutoff=MIN_SIMILARITY)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


def no_such_option(word: str, options: Iterable[str]) -> str:
    """`No such option: --wiht. Did you mean --with?`, or its first half where no long option is near."""
    long = [option.removeprefix("--") for option in options if option.startswith("--")]
    return f"No such option: {word}.{did_you_mean(word.lstrip('-'), long, prefix='--')}"


def wrong_usage(command: str, message: str) -> str:
    """The line for it, which ends with where to read on."""
    return f"{command}: {message if message.endswith(('.', '?')) else f'{message}.'} See: python3 {command} --help"
