"""Formulas in TeX, rendered as MathML."""

import re
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

MAX_FORMULA_LENGTH = 2_000
"""Longer formulas are text. The rendering of one takes up to 20 ms."""
MAX_DEPTH = 40
"""Levels of elements in a formula. Browsers and the HTML cleaner have limits, too."""
MAX_INLINE_LENGTH = 30
"""Characters of a formula within a line. Longer ones scroll, because they do not wrap on phones."""
MAX_LINES = 60
"""Lines of a formula."""

ATTRIBUTES: dict[str, set[str]] = {
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
VALUE = re.compile(r"[a-z -]{1,60}|\+?\d{0,2}(?:\.\d{1,4})?(?:em|ex|px|pt|mm|cm)?(?: \d(?:\.\d)?em)*")
"""Values of attributes: names, and sizes that are not negative."""

_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{(\w+)(\*?)\}")
_SYNONYMS = {
    **dict.fromkeys(("align", "aligned", "eqnarray", "flalign"), "split"),
    **dict.fromkeys(("gather", "gathered", "multline", "equation"), "matrix"),
    "dcases": "cases",
}
_KNOWN_ENVIRONMENTS = {"array", "cases", "matrix", "smallmatrix", "split", *(f"{kind}matrix" for kind in "pbBvV")}
_DEFINITION = re.compile(r"\\(?:re|provide)?newcommand|\\[egx]?def\b|\\let\b|\\Declare")
_ROMAN = re.compile(r"\\math(?:rm|sf)\s*(?=\{[A-Za-z ]*\})")
_REFERENCE = re.compile("&#x[0-9A-Fa-f]{1,6};")
_CHARACTER = re.compile(r"&amp;(#x[0-9A-Fa-f]{1,6};)")
_LIMITS = {"det", "gcd", "inf", "lim", "max", "min", "sup"}
"""Functions with their condition below them in a block."""
_UNREADABLE = re.compile(r"\\[a-zA-Z]+|[&{}$#]")
_BARS = (
    ('<mo accent="true">&#x02015;</mo>', '<mo stretchy="true">&#x000AF;</mo>'),
    ('<mo stretchy="true" accent="true">&#x02015;</mo>', '<mo stretchy="true">&#x0005F;</mo>'),
)


def render_formula(source: str, *, is_block: bool) -> str:
    """Return a formula as MathML, or its source if it cannot be read."""
    source = source.strip()
    mathml = to_mathml(source, "block" if is_block else "inline")
    return f"<code>{escape(source)}</code>" if mathml is None else mathml


@lru_cache(256)  # the last block of a growing text is rendered again and again
def to_mathml(source: str, display: str) -> str | None:
    if len(source) > MAX_FORMULA_LENGTH or _DEFINITION.search(source):  # definitions could multiply the text
        return None
    source = source.replace("\\tag", "\\qquad\\tag")
    source = _ROMAN.sub(r"\\text", _ENVIRONMENT.sub(_rename_environment, source))
    if any(name not in _KNOWN_ENVIRONMENTS for _, name, _ in _ENVIRONMENT.findall(source)):
        return None
    from latex2mathml.converter import Converter  # a first page rarely has a formula

    math = None
    with suppress(Exception):  # the library raises many types, including RecursionError
        math = Converter(display=display).convert_to_element(source)
    if math is None or not _tidy(math, is_block=display == "block"):
        return None
    math.attrib = {"display": "block"} if display == "block" else {}
    length = sum(len(_REFERENCE.sub("x", text)) for text in math.itertext())
    # The library writes characters as references into the text of elements.
    html = _CHARACTER.sub(r"&\1", tostring(math, encoding="unicode"))
    for old, new in _BARS:
        html = html.replace(old, new)
    is_wide = display == "inline" and length > MAX_INLINE_LENGTH
    return f'<span class="formula-line" tabindex="0">{html}</span>' if is_wide else html


def _rename_environment(match: re.Match[str]) -> str:
    return f"\\{match[1]}{{{_SYNONYMS.get(match[2], match[2])}}}"


def _tidy(math: Element, *, is_block: bool) -> bool:
    """Mend elements. Return False for unknown commands, misplaced characters and too many levels."""
    elements = [(math, 0)]
    while elements:
        element, depth = elements.pop()
        if depth > MAX_DEPTH or (element.tag in {"mi", "mo"} and _UNREADABLE.fullmatch(element.text or "")):
            return False
        if element.tag == "mo" and len(element):
            element.tag = "mrow"  # \\mathop{…}; an operator has no elements
        elif is_block and element.tag in {"msub", "msubsup"} and element[0].text in _LIMITS:
            element.tag = element.tag.replace("sub", "under").replace("sup", "over")
        elements += [(child, depth + 1) for child in element]
    return True


# $x$ and $$x$$ as in Pandoc: no space inside the signs, no letter or digit beside them, so that prices stay text.
_INLINE = re.compile(
    r"(?P<signs>\$\$?)(?![\s$])(?P<dollars>(?:[^$\\\n]|\\.|\n(?!\n)){1,1000}?)(?<!\s)(?P=signs)(?![\d$]|(?!th\b|st\b|nd\b|rd\b|s\b)[^\W_])"
    r"|\\\((?P<round>(?:[^\\\n]|\\(?!\))|\n(?!\n)){1,1000}?)\\\)"
    r"|\\\[(?P<square>(?:[^\\\n]|\\(?!\])|\n(?!\n)){1,1000}?)\\\]",
)
_PRICE = re.compile(r"\d[\d.,]*[ \n-]+(?![\\])[^\W\d_]{2,}")
_OPENING = re.compile(
    r"\$\$|\\\[|\\begin\{(equation|align|gather|multline|eqnarray|flalign|[pbBvV]?matrix|cases)(\*?)\}"
)
_OTHER_BLOCK = re.compile(r"#{1,6}[ \t]|```|~~~")


def formula_inline(state: "StateInline", silent: bool) -> bool:
    """Read `$x$`, `$$x$$`, `\\(x\\)` and `\\[x\\]` within a paragraph."""
    if state.src[state.pos] not in "$\\" or not (match := _INLINE.match(state.src, state.pos, state.posMax)):
        return False
    if match["dollars"] and (state.src[state.pos - 1 : state.pos].isalnum() or _PRICE.match(match["dollars"])):
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content = match["dollars"] or match["round"] or match["square"]
        token.info = "block" if match["square"] or match["signs"] == "$$" else ""
    state.pos = match.end()
    return True


def formula_block(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """Read `$$…$$`, `\\[…\\]` and environments such as `align` that begin and end a line and contain no empty line."""
    opening = _OPENING.match(state.src, state.bMarks[start] + state.tShift[start], state.eMarks[start])
    if opening is None or state.is_code_block(start):
        return False
    name = opening[1] and opening[1] + opening[2]
    closing = f"\\end{{{name}}}" if name else {"$$": "$$", "\\[": "\\]"}[opening[0]]
    lines = list[str]()
    for line in range(start, min(end, start + MAX_LINES)):
        first = opening.end() if line == start else state.bMarks[line] + state.tShift[line]
        text = state.src[first : state.eMarks[line]].rstrip()
        if line > start and (not text or state.sCount[line] < state.blkIndent or _OTHER_BLOCK.match(text)):
            return False
        lines.append(text)
        if closing in text:
            return text.endswith(closing) and _add_block(state, start, line + 1, opening, closing, lines, silent)
    return False


def _add_block(
    state: "StateBlock", start: int, end: int, opening: re.Match[str], closing: str, lines: list[str], silent: bool
) -> bool:
    content = "\n".join(lines).removesuffix(closing)
    if closing in content or not content.strip():
        return False
    if not silent:
        token: Token = state.push("formula_block", "math", 0)
        token.block, token.map = True, [start, end]
        token.content = f"{opening[0]}{content}{closing}" if opening[1] else content
        state.line = end
    return True


def _render_inline(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    is_block = tokens[idx].info == "block"
    html = render_formula(tokens[idx].content, is_block=is_block)
    return f'<span class="formula" tabindex="0">{html}</span>' if is_block else html


def _render_block(_: object, tokens: "list[Token]", idx: int, *__: object) -> str:
    return f'<div class="formula">{render_formula(tokens[idx].content, is_block=True)}</div>\n'


def add_formulas(parser: "MarkdownIt") -> None:
    parser.inline.ruler.before("escape", "formula", formula_inline)
    parser.block.ruler.before("fence", "formula_block", formula_block, {"alt": ["paragraph", "blockquote", "list"]})
    parser.add_render_rule("formula", _render_inline)
    parser.add_render_rule("formula_block", _render_block)
