"""Which of the known words somebody may have meant."""

from collections.abc import Iterable
from typing import NamedTuple

MIN_MISSPELT_LETTERS = 3
"""Letters of a word that can be misspelt: in shorter ones each letter makes another word."""
MAX_CANDIDATES = 60
"""How many words with the most trigrams in common are compared letter by letter."""


class Term(NamedTuple):
    """A word that the index knows."""

    term: str
    is_name: bool
    """Whether it is a part of a name."""
    frequency: int


def trigrams(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def tolerance(word: str) -> int:
    """Slips of the finger that are forgiven."""
    return 1 if len(word) < 6 else 2


def nearest(word: str, candidates: Iterable[Term]) -> str:
    """The most likely one, or nothing if all are too far."""
    limit = tolerance(word)
    ranked = ((distance(word, term.term), term.term[0] != word[0], -term.frequency, term.term) for term in candidates)
    best = min((rank for rank in ranked if rank[0] <= limit), default=None)
    return best[-1] if best else ""


def distance(one: str, other: str) -> int:
    """Letters to add, leave out, change, or swap with their neighbour."""
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
