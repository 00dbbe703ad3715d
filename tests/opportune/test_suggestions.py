"""Suggestions for misspelt names."""

import pytest

from opportune.errors.suggestions import did_you_mean


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
