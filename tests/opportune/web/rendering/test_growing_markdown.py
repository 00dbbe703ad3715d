"""Rendering of Markdown that grows while it is streamed."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.parser_block import ParserBlock
from markdown_it.token import Token
from markdown_it.utils import EnvType

from opportune.web.rendering.growing_markdown import MAX_OPEN_BLOCK_LENGTH, MarkdownBlocks
from opportune.web.rendering.markdown import render
from opportune.web.rendering.markdown_blocks import MAX_PIECE_CHARS
from tests.opportune.web.rendering.markdown_samples import FENCE, LOOSE_LIST, PROSE, TABLE, documents
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
    assert MarkdownBlocks.of("**a** <b> " * (MAX_OPEN_BLOCK_LENGTH // 8)).open.startswith("<pre>**a** &lt;b&gt;")


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
        assert len(blocks.open) < MAX_PIECE_CHARS + 100
    assert blocks.frozen
    assert len(text) <= sum(parsed_lengths) < max_passes * len(text)
    blocks.finish()
    assert blocks.html == render(text)
