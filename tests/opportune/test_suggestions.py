"""Suggestions for misspelt names."""

import pytest

from opportune.errors.suggestions import closest_name, did_you_mean


@pytest.mark.parametrize(
    ("word", "names", "suggestion"),
    [
        ("titel", ("title", "tile"), "title"),
        ("Tga", ("Tag",), "Tag"),
        ("book", ("Book",), "Book"),
        ("database_ulr", ("DATABASE_URL",), "DATABASE_URL"),
    ],
)
def test_misspelt_name_has_a_suggestion(word: str, names: tuple[str, ...], suggestion: str) -> None:
    assert did_you_mean(word, names) == f" Did you mean {suggestion}?"


@pytest.mark.parametrize(
    ("word", "names"), [("books", ("tools",)), ("zero", ("zero",)), ("", ("title",)), ("title", ())]
)
def test_different_or_equal_name_is_not_suggested(word: str, names: tuple[str, ...]) -> None:
    assert closest_name(word, names) is None
    assert did_you_mean(word, names) == ""
