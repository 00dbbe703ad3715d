"""Correction of typos: the most similar word of the index."""

from collections.abc import Iterable
from typing import NamedTuple

MIN_MISSPELT_LETTERS = 3
"""Minimum length of words to correct. In shorter words, each letter makes another word."""
MAX_CANDIDATES = 60
"""Number of words with the most common trigrams that are compared by edit distance."""


class Term(NamedTuple):
    """A word of the index."""

    term: str
    is_name: bool
    """True if it is part of a name."""
    frequency: int


def trigrams(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def tolerance(word: str) -> int:
    """Return the maximum edit distance."""
    return 1 if len(word) < 6 else 2


def nearest(word: str, candidates: Iterable[Term]) -> str:
    """Return the most likely word, or an empty string if all are too different."""
    limit = tolerance(word)
    ranked = ((distance(word, term.term), term.term[0] != word[0], -term.frequency, term.term) for term in candidates)
    best = min((rank for rank in ranked if rank[0] <= limit), default=None)
    return best[-1] if best else ""


def distance(one: str, other: str) -> int:
    """Return the edit distance: letters to add, remove, replace or transpose."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
    return row[-1]
