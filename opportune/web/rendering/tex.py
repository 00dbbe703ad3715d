"""Conversion of TeX to MathML."""

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from xml.etree.ElementTree import Element, tostring

MAX_FORMULA_LENGTH = 2_000
"""Longer formulas are text. The rendering of one takes up to 20 ms."""
MAX_DEPTH = 40
"""Levels of elements in a formula. Browsers and the HTML cleaner have limits, too."""
MAX_INLINE_LENGTH = 30
"""Characters of a formula within a line. Longer ones scroll, because they do not wrap on phones."""

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
