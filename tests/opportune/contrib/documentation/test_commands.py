"""`docs`: pages of the documentation in the terminal."""

import pytest

from opportune.contrib.documentation.content import page_names
from tests.opportune.cli.conftest import Oppman


def test_pages_are_listed(oppman: Oppman) -> None:
    out = oppman("docs").out
    assert [name for name in page_names() if f"\n{name} " not in out] == []


@pytest.mark.parametrize("name", ["crud", "docs/crud.md", "deploy/render"])
def test_page_is_printed(oppman: Oppman, name: str) -> None:
    assert oppman("docs", name).out.startswith("# ")


def test_words_are_searched(oppman: Oppman) -> None:
    code, out, _ = oppman("docs", "association", "table")
    assert code == 0
    assert "A relationship, many-to-many" in out
    assert out.splitlines()[-1].startswith("Show a page: python3 oppman.py docs ")


def test_unknown_word_is_reported_in_one_line(oppman: Oppman) -> None:
    message = "Nothing in the documentation matches 'xyzzyq'. List the pages: python3 oppman.py docs\n"
    assert oppman("docs", "xyzzyq").line() == message
