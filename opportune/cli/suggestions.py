"""Which word was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, names: Iterable[str], prefix: str = "") -> str:
    """` Did you mean books?`, or nothing where no name is near; for the end of an error."""
    near = get_close_matches(word, list(names), n=1)
    return f" Did you mean {prefix}{near[0]}?" if near else ""
