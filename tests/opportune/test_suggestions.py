"""Which name was meant by a word that is none."""

import pytest

from opportune.runtime.suggestions import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "names", "meant"),
    [
        ("titel", ("title", "tile"), "title"),
        ("Tga", ("Tag",), "Tag"),
        ("book", ("Book",), "Book"),
        ("database_ulr", ("DATABASE_URL",), "DATABASE_URL"),
    ],
)
def test_a_slip_of_the_hand_is_told_from_what_was_meant_whatever_the_case(
    word: str, names: tuple[str, ...], meant: str
) -> None:
    assert did_you_mean(word, names) == f" Did you mean {meant}?"


@pytest.mark.parametrize(
    ("word", "names"), [("books", ("tools",)), ("zero", ("zero",)), ("", ("title",)), ("title", ())]
)
def test_neither_another_word_nor_the_same_is_offered(word: str, names: tuple[str, ...]) -> None:
    assert nearest(word, names) == did_you_mean(word, names) == ""
