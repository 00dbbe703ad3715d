"""Correction of misspelt words."""

from opportune.contrib.documents.similar_words import Term, closest_word, edit_distance


def test_edit_distance_counts_typos() -> None:
    for word, similar_word, distance in (
        ("path", "path", 0),
        ("pth", "path", 1),
        ("gahter", "gather", 1),
        ("dictonary", "dictionary", 1),
        ("", "abc", 3),
    ):
        assert edit_distance(word, similar_word) == edit_distance(similar_word, word) == distance, word


def test_most_frequent_nearest_word_wins() -> None:
    terms = [Term("bath", True, 90), Term("path", True, 50), Term("pith", True, 1)]
    assert closest_word("pth", terms) == "path"
    assert closest_word("zzzz", terms) == ""
