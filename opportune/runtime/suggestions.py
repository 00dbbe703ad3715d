"""Which name was meant by a word that is none."""

from collections.abc import Iterable
from difflib import get_close_matches

MIN_SIMILARITY = 0.65
"""By difflib's own, 0.6, three letters of five are enough: whoever writes books would have meant tools."""
MIN_MISSPELT_SIMILARITY = 0.85
"""From which a name that may well have a sense of its own is taken for another one, misspelt."""


def nearest(word: str, names: Iterable[str], similarity: float = MIN_SIMILARITY) -> str:
    """The one that was meant, whatever its case; empty where none is near."""
    folded = {name.lower(): name for name in names if name != word}
    near = get_close_matches(word.lower(), folded, n=1, cutoff=similarity)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, names: Iterable[str], prefix: str = "") -> str:
    """` Did you mean books?`, or nothing where no name is near; for the end of an error."""
    near = nearest(word, names)
    return f" Did you mean {prefix}{near}?" if near else ""
