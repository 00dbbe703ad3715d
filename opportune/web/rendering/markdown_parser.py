"""Configuration of markdown-it and of the HTML cleaner, which are imported with the first text."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from opportune.web.rendering import footnotes, formulas, mathml

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict
    from nh3 import Cleaner

MAX_NESTING_LEVELS = 20  # each level may cost a pass over the line: 10,000 times "![" take a second at 100 levels
_TAGS = (
    {"blockquote", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"}
    | {"a", "br", "code", "em", "s", "strong"}
    | {"li", "ol", "ul"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
    | {"input", "label", "section", "span", "sup"}
    | mathml.ATTRIBUTES_BY_TAG.keys()
)
_EXTENSIONS = re.compile(r"\$|\\[(\[]|\\begin|\[[\^ xX]")
"""Texts without these characters have no formulas, footnotes and tasks, and are parsed without their rules."""
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}", re.ASCII)
_ALIGNED = {"text-align:right": "text-end", "text-align:center": "text-center"}


def to_html(source: str) -> str | None:
    """Return safe HTML, or None if the nesting is too deep for the parser."""
    parser = _parser_of(source)
    tokens = parser.parse(source)
    if any(token.level >= MAX_NESTING_LEVELS - 1 for token in tokens):
        return None
    return _cleaner().clean(parser.renderer.render(tokens, parser.options, {}))


def last_block(source: str) -> "tuple[Token, int, int]":
    """Return the opening token of the last block, its first line, and the line after it."""
    tokens: list[Token] = []
    parser = _parser_of(source)
    parser.block.parse(source, parser, {}, tokens)
    return next((token, token.map[0], token.map[1]) for token in reversed(tokens) if token.level == 0 and token.map)


def _parser_of(source: str) -> "MarkdownIt":
    return _extended_parser() if _EXTENSIONS.search(source) else _parser()


@cache
def _extended_parser() -> "MarkdownIt":
    from mdit_py_plugins.tasklists import tasklists_plugin  # as below

    parser = _new_parser()
    formulas.add_formulas(parser)
    footnotes.add_footnotes(parser)
    return parser.use(tasklists_plugin, label=True)


@cache
def _parser() -> "MarkdownIt":
    return _new_parser()


def _new_parser() -> "MarkdownIt":
    """Return a CommonMark parser with tables and strikethrough, without raw HTML and link reference definitions."""
    from markdown_it import MarkdownIt  # a first page rarely has Markdown
    from markdown_it.rules_block import fence  # a first page rarely has Markdown

    # A definition at the end of a text would change blocks that were already sent.
    rules = ["reference", "html_block", "html_inline"]
    parser = MarkdownIt("js-default", {"html": False, "maxNesting": MAX_NESTING_LEVELS}).disable(rules)
    # As on GitHub, fences come before tables. Otherwise the first line of a code block could become a table head.
    parser.block.ruler.before("table", "fence_before_table", fence, {"alt": ["paragraph", "blockquote", "list"]})
    parser.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    for type_, rule in RENDER_RULES.items():
        parser.add_render_rule(type_, rule)
    return parser


def _bounded_table(state: "StateBlock", start: int, end: int, silent: bool) -> bool:
    """Refuse tables with more cells than characters: the parser would fill short rows up to the table's width."""
    from markdown_it.rules_block import table  # a first page rarely has Markdown

    if not table(state, start, end, silent=True):
        return False
    last = next((line for line in range(start, end) if state.isEmpty(line)), end) - 1
    columns = state.src[state.bMarks[start + 1] : state.eMarks[start + 1]].strip(" \t|").count("|") + 1
    if columns * (last - start) > state.eMarks[last] - state.bMarks[start]:
        return False
    return silent or table(state, start, end, silent=False)


def _image(
    renderer: "RendererHTML", tokens: "Sequence[Token]", idx: int, options: "OptionsDict", env: "EnvType"
) -> str:
    """Render images as links. A loading image could send data in its URL to another server."""
    token = tokens[idx]
    label = escape(renderer.renderInlineAsText(token.children or [], options, env) or "image")
    if idx and tokens[idx - 1].type == "link_open":
        return label
    return Markup('<a href="{}">{}</a>').format(token.attrs["src"], label)


def _cell_open(
    renderer: "RendererHTML", tokens: "Sequence[Token]", idx: int, options: "OptionsDict", env: "EnvType"
) -> str:
    """Render alignment as a class, because the content security policy forbids style attributes."""
    aligned = _ALIGNED.get(str(tokens[idx].attrs.pop("style", "")))
    if aligned:
        tokens[idx].attrs["class"] = aligned
    return renderer.renderToken(tokens, idx, options, env)


RENDER_RULES: dict[str, Callable[..., str]] = {
    "image": _image,
    "table_open": lambda *_: '<div class="table-responsive"><table class="table">\n',
    "table_close": lambda *_: "</table></div>\n",
    "td_open": _cell_open,
    "th_open": _cell_open,
}
"""Functions for the token types that differ from the library."""


def _filter_attribute(tag: str, attribute: str, value: str) -> str | None:
    if (tag, attribute) == ("code", "class"):
        return value if _LANGUAGE.fullmatch(value) else None
    if tag in mathml.ATTRIBUTES_BY_TAG:
        return value if mathml.ATTRIBUTE_VALUE.fullmatch(value) else None
    return value


@cache
def _cleaner() -> "Cleaner":
    from nh3 import Cleaner  # a first page rarely has Markdown

    return Cleaner(
        tags=_TAGS,
        attributes={
            "a": {"href", "title"},
            "code": {"class"},
            "input": {"checked", "disabled", "type"},
            "ol": {"start"},
            "span": {"tabindex"},
            **mathml.ATTRIBUTES_BY_TAG,
        },
        allowed_classes={
            "div": {"table-responsive", "formula"},
            "li": {"task-list-item"},
            "section": {"footnote"},
            "span": {"formula", "formula-line"},
            "sup": {"footnote-ref"},
            "table": {"table"},
            "td": {"text-center", "text-end"},
            "th": {"text-center", "text-end"},
        },
        attribute_filter=_filter_attribute,
        set_tag_attribute_values={"div": {"tabindex": "0"}},  # wide tables and formulas scroll with the keyboard
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
