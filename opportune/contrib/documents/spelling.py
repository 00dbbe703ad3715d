"""Words of an index that are similar to a misspelt one."""

from collections.abc import Iterable
from typing import NamedTuple

MIN_MISSPELT_LETTERS = 3
"""Minimum length of words to correct. In shorter words, each letter makes another word."""


class Term(NamedTuple):
    """A word of the index."""

    term: str
    is_name: bool
    """Whether it is part of a name."""
    frequency: int


def trigrams(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def max_edit_distance(word: str) -> int:
    """Return the maximum edit distance between a word and its correction."""
    return 1 if len(word) < 6 else 2


def closest_word(word: str, candidates: Iterable[Term]) -> str | None:
    """Return the candidate with the smallest edit distance, or None if all are too different."""
    limit = max_edit_distance(word)
    distances = {candidate: edit_distance(word, candidate.term) for candidate in candidates}
    similar = [candidate for candidate, distance in distances.items() if distance <= limit]

    def rank(candidate: Term) -> tuple[int, bool, int, str]:
        has_other_start = candidate.term[0] != word[0]
        return distances[candidate], has_other_start, -candidate.frequency, candidate.term

    return min(similar, key=rank).term if similar else None


def edit_distance(word: str, other_word: str) -> int:
    """Return the edit distance: letters to add, remove, replace or transpose."""
    previous_row: list[int] = []
    row = list(range(len(other_word) + 1))
    for i, letter in enumerate(word, 1):
        row_before_previous = previous_row
        previous_row = row
        row = [i]
        for j, other_letter in enumerate(other_word, 1):
            replacement = 0 if letter == other_letter else 1
            cost = min(previous_row[j] + 1, row[-1] + 1, previous_row[j - 1] + replacement)
            if i > 1 and j > 1 and letter == other_word[j - 2] and word[i - 2] == other_letter:
                cost = min(cost, row_before_previous[j - 2] + 1)
            row.append(cost)
    return row[-1]
