"""markdown-it as this site sets it up, and what cleans its HTML. Nothing imports this before the first text."""

import re
from collections.abc import Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, fence, table
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

MAX_NESTING_LEVELS = (
    20  # each level may cost a pass over the rest of a line: ten thousand "![" would take a second at 100
)
_TAGS = (
    {"blockquote", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"}
    | {"a", "br", "code", "em", "s", "strong"}
    | {"li", "ol", "ul"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
)
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}", re.ASCII)
_ALIGNED = {"text-align:right": "text-end", "text-align:center": "text-center"}


def to_html(source: str) -> str | None:
    """Safe HTML; None for what is nested so deep that the parser would leave some of it out."""
    tokens = _PARSER.parse(source)
    if any(token.level >= MAX_NESTING_LEVELS - 1 for token in tokens):
        return None
    return _CLEANER.clean(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def last_block(source: str) -> tuple[Token, int, int]:
    """Its first token, its first line, and the line after its last."""
    tokens: list[Token] = []
    _PARSER.block.parse(source, _PARSER, {}, tokens)
    return next((token, token.map[0], token.map[1]) for token in reversed(tokens) if token.level == 0 and token.map)


def _block_parser() -> MarkdownIt:
    """A parser for CommonMark with tables and strikethrough, without raw HTML and link reference definitions."""
    # A definition at the end of a text would change blocks at its beginning, which a reader already has.
    rules = ["reference", "html_block", "html_inline"]
    parser = MarkdownIt("js-default", {"html": False, "maxNesting": MAX_NESTING_LEVELS}).disable(rules)
    # As on GitHub: else the first line of a code block could turn out to be the head of a table.
    parser.block.ruler.before("table", "fence_before_table", fence, {"alt": ["paragraph", "blockquote", "list"]})
    parser.block.ruler.at("table", _written_table, {"alt": ["paragraph", "reference"]})
    return parser


def _written_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Not one that has more cells than characters: rows of one character each would be filled up to its width."""
    if not table(state, start, end, silent=True):
        return False
    last = next((line for line in range(start, end) if state.isEmpty(line)), end) - 1
    columns = state.src[state.bMarks[start + 1] : state.eMarks[start + 1]].strip(" \t|").count("|") + 1
    if columns * (last - start) > state.eMarks[last] - state.bMarks[start]:
        return False
    return silent or table(state, start, end, silent=False)


class _Renderer(RendererHTML):
    """A method per kind of token that is not rendered as the library does."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """A link: an image that loads by itself would tell its server what a model was made to put in the address."""
        token = tokens[idx]
        label = escape(self.renderInlineAsText(token.children or [], options, env) or "image")
        if idx and tokens[idx - 1].type == "link_open":
            return label
        return Markup('<a href="{}">{}</a>').format(token.attrs["src"], label)

    def table_open(self, *_: object) -> str:
        return '<div class="table-responsive"><table class="table">\n'

    def table_close(self, *_: object) -> str:
        return "</table></div>\n"

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Alignment as a class: the content security policy refuses style attributes."""
        aligned = _ALIGNED.get(str(tokens[idx].attrs.pop("style", "")))
        if aligned:
            tokens[idx].attrs["class"] = aligned
        return self.renderToken(tokens, idx, options, env)

    th_open = td_open


def _keep(tag: str, attribute: str, value: str) -> str | None:
    if (tag, attribute) == ("code", "class"):
        return value if _LANGUAGE.fullmatch(value) else None
    return value


_PARSER = _block_parser()
_PARSER.renderer = _Renderer(_PARSER)

_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}},
    allowed_classes={
        "div": {"table-responsive"},
        "table": {"table"},
        "td": {"text-center", "text-end"},
        "th": {"text-center", "text-end"},
    },
    attribute_filter=_keep,
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow",
)
