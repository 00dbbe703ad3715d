"""Suggestions for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches

MIN_SIMILARITY = 0.65
"""More than difflib's default of 0.6, with which `books` would suggest `tools`."""
MIN_MISSPELT_SIMILARITY = 0.85
"""Similarity from which a name that may be intended is treated as misspelt."""


def closest_name(word: str, names: Iterable[str], similarity: float = MIN_SIMILARITY) -> str | None:
    """Return the most similar name, ignoring case; None if none is similar enough."""
    folded = {name.lower(): name for name in names if name != word}
    match = get_close_matches(word.lower(), folded, n=1, cutoff=similarity)
    return folded[match[0]] if match else None


def did_you_mean(word: str, names: Iterable[str], prefix: str = "") -> str:
    """Return ` Did you mean books?` for the end of an error message; empty if no name is similar."""
    match = closest_name(word, names)
    return f" Did you mean {prefix}{match}?" if match else ""
