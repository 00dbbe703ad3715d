"""A Sphinx folder as a source: entries, skipped pages and sanitized HTML."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pydocs.documents import Entry
from app.pydocs.sources.pages import read_parts
from app.pydocs.sources.sphinx import SphinxSource
from opportune.errors import OperatorError
from tests.pydocs.sphinx_folder import GLOSSARY_PAGE, INVENTORY_HEADER, PATH_PAGE, make_inventory


def read_folder(folder: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    source = SphinxSource(folder)
    pieces: dict[str, Entry] = {}
    skipped_pages: dict[str, str] = {}
    for batch, result in source.read(source.batches()):
        if isinstance(result, str):
            skipped_pages[batch] = result
        else:
            pieces |= {piece.slug: piece for piece in result}
    return pieces, skipped_pages


def test_symbols_sections_and_terms_are_found(folder: Path) -> None:
    pieces, _ = read_folder(folder)
    assert {slug: piece.kind for slug, piece in pieces.items()} == {
        "glossary.html": "section",
        "glossary.html#term-shelf": "term",
        "glossary.html#term-book": "term",
        "shelf.path": "module",
        "shelf.path.join": "function",
        "shelf.path.combine": "function",
        "shelf.path.Walker": "class",
        "shelf.path.Walker.walk": "method",
        "library/path.html#files": "section",
    }
    join = pieces["shelf.path.join"]
    assert (join.name, join.module, join.parent) == ("shelf.path.join", "shelf.path", "shelf.path")
    assert (join.signature, join.title) == ("shelf.path.join(path)", "Join paths & more.")
    assert join.source == "library/path.html#shelf.path.join"
    assert pieces["shelf.path.combine"].signature == "shelf.path.combine(path)"
    assert pieces["shelf.path.Walker.walk"].parent == "shelf.path.Walker"
    assert pieces["library/path.html#files"].name == "About files"


def test_html_is_sanitized_and_links_rewritten(folder: Path) -> None:
    body = read_folder(folder)[0]["shelf.path"].body
    assert 'href="/pydocs/glossary.html%23term-shelf"' in body
    assert 'href="/pydocs/shelf.path.join"' in body
    assert 'href="https://example.org/"' in body
    assert "import shelf &lt;3</pre>" in body
    assert not any(word in body for word in ("script", "img", "alert", "onerror"))


def test_unreadable_pages_are_reported(folder: Path) -> None:
    (folder / "glossary.html").write_text("<p>no section at all")
    pieces, skipped_pages = read_folder(folder)
    missing = "it cannot be read (No such file or directory)"
    assert skipped_pages == {"missing.html": missing, "glossary.html": "it has no sections"}
    assert "shelf.path.join" in pieces


def test_page_outside_the_folder_is_skipped(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text(GLOSSARY_PAGE)
    (folder / "objects.inv").write_bytes(make_inventory("secret std:doc -1 ../secret.html Secret\n"))
    assert read_folder(folder) == ({}, {"../secret.html": "it is outside the folder"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Pass the folder of HTML pages"),
        (b"", "is not a Sphinx inventory"),
        (INVENTORY_HEADER + b"rubbish", "is damaged"),
        (make_inventory("x py:function\n\n\xff\n"), "has no HTML pages"),
    ],
)
def test_folder_without_sphinx_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "objects.inv").write_bytes(content)
    with pytest.raises(OperatorError, match=message) as refusal:
        SphinxSource(tmp_path).batches()
    assert "\n" not in str(refusal.value)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(PATH_PAGE.replace("<", "\n<").split("\n")) | st.text(max_size=9), max_size=60))
def test_any_markup_is_read_or_refused(lines: list[str]) -> None:
    try:
        parts = read_parts('<main><section id="a">' + "".join(lines), str)
    except ValueError as refusal:
        assert "its markup is" in str(refusal)  # noqa: PT017 - both outcomes are right
    else:
        assert parts[0].anchor == "a"
