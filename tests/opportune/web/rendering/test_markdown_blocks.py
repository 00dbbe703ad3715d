"""Splitting of streamed Markdown into pieces that render alone."""

from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opportune.web.rendering import markdown_blocks
from opportune.web.rendering.markdown import join_pieces, render, render_piece
from opportune.web.rendering.markdown_blocks import (
    MAX_BLOCK_CHARS,
    MAX_FENCE_CHARS,
    MAX_LIST_CHARS,
    MarkdownPiece,
    Splitter,
)
from tests.opportune.web.rendering.markdown_samples import FENCE, LIST, TABLE, documents

pytestmark = pytest.mark.usefixtures("no_highlighting_timeout")


def split(*chunks: str) -> list[MarkdownPiece]:
    splitter = Splitter()
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.finish()
    return splitter.pieces


def render_unsplit(text: str) -> str:
    """Render a text as one piece, for comparison."""
    text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    html = join_pieces([render_piece(MarkdownPiece(text))])
    assume(html.startswith("<pre><code") or not html.startswith("<pre>"))
    return html


@settings(deadline=None, max_examples=30)
@given(documents)
def test_split_fence_or_table_is_joined(text: str) -> None:
    with patch.multiple(markdown_blocks, MAX_BLOCK_CHARS=12, MAX_FENCE_CHARS=12):
        assert render(text) == render_unsplit(text)


@pytest.mark.parametrize("text", [FENCE, TABLE, LIST])
def test_long_document_equals_full_rendering(text: str) -> None:
    assert render(text) == render_piece(MarkdownPiece(text))


@settings(deadline=None, max_examples=30)
@given(documents, st.data())
def test_pieces_do_not_depend_on_chunks(text: str, data: st.DataObject) -> None:
    with patch.multiple(markdown_blocks, MAX_BLOCK_CHARS=10, MAX_FENCE_CHARS=10, MAX_LIST_CHARS=30, MAX_PIECE_CHARS=60):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
        chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert split(*chunks) == split(*text) == split(text)


@pytest.mark.parametrize(
    ("text", "max_length"), [(FENCE, MAX_FENCE_CHARS), (TABLE, MAX_BLOCK_CHARS), (LIST, MAX_LIST_CHARS)]
)
def test_long_blocks_are_split(text: str, max_length: int) -> None:
    pieces = split(text)
    assert all(len(piece.source) < max_length + 100 for piece in pieces)
    assert [piece.continued for piece in pieces] == [False] + [True] * (len(pieces) - 1)
    assert len(pieces) > 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a\n", "# b\n"),
        ("a\n", "```\nb\n"),
        ("```\na\n\n# a\n```\n", "b\n"),
        ("- a\n\n  a\n\n- a\n\n", "b\n"),
        ("- ```\n  a\n\n  a\n\n", "**b**\n"),
        ("|a|\n|-|\n|a|\n\n", "1.5 b\n"),
    ],
)
def test_piece_ends_before_certain_block_start(first: str, second: str) -> None:
    splitter = Splitter()
    splitter.feed(first + second)
    assert splitter.pieces == [MarkdownPiece(first)]
    assert splitter.open_piece == MarkdownPiece(second, is_complete=False)
