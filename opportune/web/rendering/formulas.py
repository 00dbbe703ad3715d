"""Formulas in Markdown, such as `$x$`, `\\(x\\)`, `$$x$$`, `\\[x\\]` and environments of TeX."""

import re
from typing import TYPE_CHECKING

from markupsafe import escape

from opportune.web.rendering.tex import to_mathml

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MAX_BLOCK_LINES = 60

# As in Pandoc, signs have no space inside and no letter or digit beside them, so that prices stay text.
INLINE = re.compile(
    r"""
    (?P<signs>\$\$?) (?![\s$]) (?P<dollars>(?:[^$\\\n]|\\.|\n(?!\n)){1,1000}?) (?<!\s) (?P=signs)
        (?![\d$] | (?!(?:th|st|nd|rd|s)\b) [^\W_])  # endings may follow: the $n$th book
    | \\\( (?P<round>(?:[^\\\n]|\\(?!\))|\n(?!\n)){1,1000}?) \\\)
    | \\\[ (?P<square>(?:[^\\\n]|\\(?!\])|\n(?!\n)){1,1000}?) \\\]
    """,
    re.VERBOSE,
)
PRICE = re.compile(r"\d[\d.,]*[ \n-]+(?![\\])[^\W\d_]{2,}")
"""Text between the signs of two prices, such as `5 or ` in `$5 or $6`."""
BLOCK_START = re.compile(
    r"\$\$|\\\[|\\begin\{(?P<environment>(?:equation|align|gather|multline|eqnarray|flalign|[pbBvV]?matrix|cases)\*?)\}"
)
BLOCK_ENDS = {"$$": "$$", "\\[": "\\]"}
OTHER_BLOCK = re.compile(r"#{1,6}[ \t]|```|~~~")


def read_inline_formula(state: "StateInline", silent: bool) -> bool:
    """Read `$x$`, `$$x$$`, `\\(x\\)` and `\\[x\\]` within a paragraph."""
    if state.src[state.pos] not in "$\\":  # saves time
        return False
    match = INLINE.match(state.src, state.pos, state.posMax)
    if match is None or (match["dollars"] and _is_price(state, match["dollars"])):
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content = match["dollars"] or match["round"] or match["square"]
        token.info = "block" if match["square"] or match["signs"] == "$$" else ""
    state.pos = match.end()
    return True


def _is_price(state: "StateInline", text: str) -> bool:
    follows_word = state.src[state.pos - 1 : state.pos].isalnum()  # US$5
    return follows_word or PRICE.match(text) is not None


def read_formula_block(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """Read `$$…$$`, `\\[…\\]` and environments such as `align` that begin and end a line and contain no empty line."""
    opening = BLOCK_START.match(state.src, _line_start(state, start), state.eMarks[start])
    if opening is None or state.is_code_block(start):
        return False
    environment = opening["environment"]
    closing = f"\\end{{{environment}}}" if environment else BLOCK_ENDS[opening[0]]
    lines = _read_lines(state, start, end, opening.end(), closing)
    content = "\n".join(lines).removesuffix(closing)
    if closing in content or not content.strip():  # text follows the formula, or it is empty
        return False
    if not silent:
        token: Token = state.push("formula_block", "math", 0)
        token.block = True
        token.map = [start, start + len(lines)]
        token.content = f"{opening[0]}{content}{closing}" if environment else content
        state.line = start + len(lines)
    return True


def _read_lines(state: "StateBlock", start: int, end: int, position: int, closing: str) -> list[str]:
    """Return the lines from a position in the first line to the closing; none if another block begins before it."""
    lines: list[str] = []
    for line in range(start, min(end, start + MAX_BLOCK_LINES)):
        if line > start:
            position = _line_start(state, line)
        text = state.src[position : state.eMarks[line]].rstrip()
        if line > start and (not text or state.sCount[line] < state.blkIndent or OTHER_BLOCK.match(text)):
            return []
        lines.append(text)
        if closing in text:
            return lines
    return []


def _line_start(state: "StateBlock", line: int) -> int:
    """Return the position of the first character after the indentation."""
    return state.bMarks[line] + state.tShift[line]


def _render_inline(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    is_block = tokens[idx].info == "block"
    html = _render(tokens[idx].content, is_block=is_block)
    return f'<span class="formula" tabindex="0">{html}</span>' if is_block else html


def _render_block(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    return f'<div class="formula">{_render(tokens[idx].content, is_block=True)}</div>\n'


def _render(source: str, *, is_block: bool) -> str:
    """Return a formula as MathML, or its source if it cannot be read."""
    source = source.strip()
    mathml = to_mathml(source, is_block=is_block)
    return f"<code>{escape(source)}</code>" if mathml is None else mathml


def add_formulas(parser: "MarkdownIt") -> None:
    parser.inline.ruler.before("escape", "formula", read_inline_formula)
    alternatives = ["paragraph", "blockquote", "list"]
    parser.block.ruler.before("fence", "formula_block", read_formula_block, {"alt": alternatives})
    parser.add_render_rule("formula", _render_inline)
    parser.add_render_rule("formula_block", _render_block)
