"""Formulas in Markdown, such as `$x$`, `\\(x\\)`, `$$x$$`, `\\[x\\]` and environments of TeX, rendered as MathML."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

from markupsafe import escape

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

MAX_FORMULA_LENGTH = 2_000
"""Longer formulas are text. The rendering of one takes up to 20 ms."""
MAX_DEPTH = 40
"""Levels of elements in a formula. Browsers and the HTML cleaner have limits, too."""
MAX_INLINE_LENGTH = 30
"""Characters of a formula within a line. Longer ones scroll, because they do not wrap on phones."""

MATHML_ATTRIBUTES: dict[str, set[str]] = {
    **{tag: set() for tag in ("mpadded", "mphantom", "mroot", "mrow", "msqrt", "msub", "msubsup", "msup", "mtr")},
    **{tag: set() for tag in ("munder", "munderover")},
    **{tag: {"mathvariant"} for tag in ("mi", "mn", "mtext")},
    "math": {"display"},
    "menclose": {"notation"},
    "mfrac": {"linethickness"},
    "mo": {"accent", "fence", "form", "lspace", "maxsize", "minsize", "movablelimits", "rspace", "stretchy"},
    "mover": {"accent"},
    "mspace": {"height", "width"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnspacing", "displaystyle"},
    "mtd": {"columnalign"},
}
"""Elements of MathML with their attributes. Without negative sizes, links and colours, no formula covers other text."""
MATHML_VALUE = re.compile(r"[a-z -]{1,60}|\+?\d{0,2}(?:\.\d{1,4})?(?:em|ex|px|pt|mm|cm)?(?: \d(?:\.\d)?em)*")
"""Values of attributes: names, and sizes that are not negative."""

DEFINITION = re.compile(r"\\(?:re|provide)?newcommand|\\[egx]?def\b|\\let\b|\\Declare")
"""Commands that define others, with which a short text could produce a long one."""
ENVIRONMENT = re.compile(r"\\(?P<command>begin|end)\s*\{(?P<name>\w+)\*?\}")
ENVIRONMENT_SYNONYMS = {
    **dict.fromkeys(("align", "aligned", "eqnarray", "flalign"), "split"),
    **dict.fromkeys(("gather", "gathered", "multline", "equation"), "matrix"),
    "dcases": "cases",
}
"""Environments that the library lacks, and similar ones that it has."""
ENVIRONMENTS = {"array", "cases", "matrix", "smallmatrix", "split", *(f"{letter}matrix" for letter in "pbBvV")}
UPRIGHT_WORD = re.compile(r"\\math(?:rm|sf)\s*(?=\{[A-Za-z ]*\})")
"""Command before a word that is not in italics, which the library would write letter by letter."""

UNKNOWN_COMMAND = re.compile(r"\\[a-zA-Z]+|[&{}$#]")
"""Text of an element for a command that the library does not know, or for a misplaced character."""
FUNCTIONS_WITH_LIMITS = {"det", "gcd", "inf", "lim", "max", "min", "sup"}
"""Functions with their condition below them in a block."""
LIMIT_TAGS = {"msub": "munder", "msubsup": "munderover"}
CHARACTER_REFERENCE = re.compile("&#x[0-9A-Fa-f]{1,6};")
ESCAPED_REFERENCE = re.compile(r"&amp;(#x[0-9A-Fa-f]{1,6};)")
BARS = (
    ('<mo accent="true">&#x02015;</mo>', '<mo stretchy="true">&#x000AF;</mo>'),
    ('<mo stretchy="true" accent="true">&#x02015;</mo>', '<mo stretchy="true">&#x0005F;</mo>'),
)
"""Bars above and below a term, for which the library writes a character that browsers do not stretch."""


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
        token.block, token.map = True, [start, start + len(lines)]
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


@lru_cache(256)  # the last block of a growing text is rendered again and again
def to_mathml(source: str, *, is_block: bool) -> str | None:
    """Return a formula as MathML, or None if it is too long or contains unknown commands."""
    if len(source) > MAX_FORMULA_LENGTH or DEFINITION.search(source):
        return None
    tex = _with_supported_commands(source)
    environments = {match["name"] for match in ENVIRONMENT.finditer(tex)}
    math = _convert(tex, is_block=is_block) if environments <= ENVIRONMENTS else None
    if math is None or not _is_readable(math):
        return None
    _correct(math, is_block=is_block)
    html = _serialize(math)
    is_long = sum(len(CHARACTER_REFERENCE.sub("x", text)) for text in math.itertext()) > MAX_INLINE_LENGTH
    return html if is_block or not is_long else f'<span class="formula-line" tabindex="0">{html}</span>'


def _with_supported_commands(source: str) -> str:
    """Replace commands that the library lacks or draws badly."""
    tex = source.replace("\\tag", "\\qquad\\tag")  # a number beside the formula
    return UPRIGHT_WORD.sub(r"\\text", ENVIRONMENT.sub(_rename_environment, tex))


def _rename_environment(match: re.Match[str]) -> str:
    name = ENVIRONMENT_SYNONYMS.get(match["name"], match["name"])
    return f"\\{match['command']}{{{name}}}"


def _convert(tex: str, *, is_block: bool) -> Element | None:
    from latex2mathml.converter import Converter  # a first page rarely has a formula

    with suppress(Exception):  # the library raises many types, including RecursionError
        return Converter(display="block" if is_block else "inline").convert_to_element(tex)
    return None


def _is_readable(math: Element) -> bool:
    """Return whether a formula has neither unknown commands nor too many levels."""
    for element, depth in _elements(math):
        is_unknown = element.tag in {"mi", "mo"} and UNKNOWN_COMMAND.fullmatch(element.text or "")
        if is_unknown or depth > MAX_DEPTH:
            return False
    return True


def _elements(math: Element) -> Iterator[tuple[Element, int]]:
    """Yield the elements with their levels, without recursion, because a formula may have very many levels."""
    waiting = [(math, 0)]
    while waiting:
        element, depth = waiting.pop()
        yield element, depth
        waiting += [(child, depth + 1) for child in element]


def _correct(math: Element, *, is_block: bool) -> None:
    """Replace elements and attributes that browsers do not draw like TeX."""
    math.attrib = {"display": "block"} if is_block else {}
    for element in math.iter():
        if element.tag == "mo" and len(element):  # \mathop{…}; an operator has no elements
            element.tag = "mrow"
        elif is_block and element.tag in LIMIT_TAGS and element[0].text in FUNCTIONS_WITH_LIMITS:
            element.tag = LIMIT_TAGS[element.tag]


def _serialize(math: Element) -> str:
    # The library writes characters as references into the text of elements, where their & is escaped again.
    html = ESCAPED_REFERENCE.sub(r"&\1", tostring(math, encoding="unicode"))
    for bar, stretchy_bar in BARS:
        html = html.replace(bar, stretchy_bar)
    return html
