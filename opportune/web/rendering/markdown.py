"""Markdown from people and models, as HTML that is safe to put on a page."""

import asyncio
import re
from collections.abc import Iterable, Sequence

import nh3
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup, escape

from opportune.web.rendering.markdown_blocks import MAX_NESTING_LEVELS, MarkdownPiece, Splitter, block_parser

_TAGS = (
    {"blockquote", "div", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"}
    | {"a", "br", "code", "em", "s", "strong"}
    | {"li", "ol", "ul"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
)
MAX_CACHED_TEXTS = 64
"""Texts whose HTML is kept."""
_known: dict[str, Markup] = {}
_CONTINUED = " data-continued"
_SEAM = re.compile(
    rf"</code></pre>\n<pre{_CONTINUED}><code[^>]*>"
    rf'|</tbody>\n</table></div>\n<div class="table-responsive"{_CONTINUED}>.*?</thead>\n<tbody>\n'
    rf'|</([ou]l)>\n<\1(?: start="\d+")?{_CONTINUED}>\n',
    re.DOTALL,
)
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}", re.ASCII)
_ALIGNED = {"text-align:right": "text-end", "text-align:center": "text-center"}


def render(text: str) -> Markup:
    """Render any text: what is no Markdown of ours comes out as text."""
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish()
    return join(render_piece(piece) for piece in splitter.pieces)


async def rendered(text: str) -> Markup:
    """Render a text in a thread, and once if it is shown again: one may be made to take long."""
    if text not in _known:
        _known[text] = await asyncio.to_thread(render, text)
        if len(_known) > MAX_CACHED_TEXTS:
            del _known[next(iter(_known))]
    return _known[text]


def plain(text: str) -> Markup:
    return Markup("<pre>{}</pre>\n").format(text)


def render_piece(piece: MarkdownPiece) -> Markup:
    tokens = _PARSER.parse(piece.source)
    if any(token.level >= MAX_NESTING_LEVELS - 1 for token in tokens):
        return plain(piece.source)  # the parser leaves out what is nested deeper
    html = _CLEANER.clean(_PARSER.renderer.render(tokens, _PARSER.options, {}))
    return Markup(html.replace(">", f"{_CONTINUED}>", 1) if piece.continued else html)  # noqa: S704 - cleaned above


def join(pieces: Iterable[Markup]) -> Markup:
    """Join rendered pieces; a code block, table or list that was continued is whole again."""
    return Markup(_SEAM.sub("", "".join(pieces)))  # noqa: S704 - takes away from what was cleaned


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


_PARSER = block_parser()
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
