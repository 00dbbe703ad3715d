"""Markdown that grows while it is streamed: its pieces, which render alone, and its rendering."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.parser_block import ParserBlock
from markdown_it.token import Token
from markdown_it.utils import EnvType

from opportune.web.rendering import markdown_blocks
from opportune.web.rendering.growing_markdown import MAX_OPEN_BLOCK_LENGTH, MarkdownBlocks
from opportune.web.rendering.markdown import join_pieces, render, render_piece
from opportune.web.rendering.markdown_blocks import MAX_BLOCK_CHARS, MAX_FENCE_CHARS, MAX_LIST_CHARS, MarkdownPiece
from tests.opportune.web.rendering.markdown_samples import FENCE, LIST, LOOSE_LIST, PROSE, TABLE, documents
from tests.opportune.web.rendering.test_markdown import HOSTILE_TEXTS, assert_harmless

pytestmark = pytest.mark.usefixtures("no_highlighting_timeout")


def chunks_of(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


@settings(deadline=None, max_examples=25)
@given(documents, st.integers(1, 7))
def test_frozen_blocks_do_not_depend_on_chunks(text: str, size: int) -> None:
    blocks, length = MarkdownBlocks(), 0
    for chunk in chunks_of(text, size):
        before = list(blocks.frozen)
        blocks.feed(chunk)
        assert_harmless(blocks.open)
        length += len(chunk)
        expected = MarkdownBlocks.of(text[:length])
        assert blocks.frozen[: len(before)] == before
        assert (blocks.frozen, blocks.open) == (expected.frozen, expected.open)
        assert len(blocks.frozen) == expected.frozen_count
    blocks.finish()
    assert blocks.html == render(text)
    assert blocks.open == ""


@pytest.mark.parametrize("text", HOSTILE_TEXTS[::3])
def test_partial_html_is_safe(text: str) -> None:
    blocks = MarkdownBlocks()
    for letter in f"a\n\n{text}\n\nb":
        blocks.feed(letter)
        assert_harmless(blocks.open)
    blocks.finish()
    for block in blocks.frozen:
        assert_harmless(block)


@pytest.mark.parametrize("end", ["1.", "**b**", "[1]", "x\n===", "<b", "  b", "a\n"])
def test_appended_words_equal_full_rendering(end: str) -> None:
    text = f"One *two three, and  four* 5 more: so it ends. {end} and goes on"
    blocks = MarkdownBlocks()
    for length, letter in enumerate(text, 1):
        blocks.feed(letter)
        assert blocks.open == MarkdownBlocks.of(text[:length]).open


def test_long_open_block_is_plain_text() -> None:
    blocks = MarkdownBlocks.of("**a** <b> " * (MAX_OPEN_BLOCK_LENGTH // 8))
    assert blocks.open.startswith("<p><strong>a</strong> &lt;b&gt;")
    blocks.feed("**c** <d>")
    assert blocks.open.endswith("<strong>a</strong> &lt;b&gt; **c** &lt;d&gt;</p>\n")


def test_paragraph_longer_than_a_piece_stays_whole() -> None:
    html = render("word " * 3_000)
    assert (html.count("<p>"), html.count("word "), html.count("word\n")) == (1, 2_998, 1)


@pytest.fixture
def parsed_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of all parsed texts."""
    lengths: list[int] = []
    parse = ParserBlock.parse

    def record(self: ParserBlock, src: str, md: MarkdownIt, env: EnvType, out: list[Token]) -> list[Token] | None:
        lengths.append(len(src))
        return parse(self, src, md, env, out)

    monkeypatch.setattr(ParserBlock, "parse", record)
    return lengths


@pytest.mark.parametrize(("text", "max_passes"), [(PROSE, 5), (FENCE, 15), (TABLE, 10), (LOOSE_LIST, 15)])
def test_cost_per_character_is_constant(text: str, max_passes: int, parsed_lengths: list[int]) -> None:
    blocks = MarkdownBlocks()
    for chunk in chunks_of(text, 100):
        blocks.feed(chunk)
        assert len(blocks.open) < markdown_blocks.MAX_PIECE_CHARS + 100
    assert blocks.frozen
    assert len(text) <= sum(parsed_lengths) < max_passes * len(text)
    blocks.finish()
    assert blocks.html == render(text)


def split(*chunks: str) -> list[MarkdownPiece]:
    splitter = markdown_blocks.Splitter()
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
    splitter = markdown_blocks.Splitter()
    splitter.feed(first + second)
    assert splitter.pieces == [MarkdownPiece(first)]
    assert splitter.open_piece == MarkdownPiece(second, is_complete=False)
