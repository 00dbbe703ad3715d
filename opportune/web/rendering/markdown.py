"""Markdown from people and models, as HTML that is safe to put on a page."""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from markupsafe import Markup

from opportune.web.rendering.code_colours import coloured
from opportune.web.rendering.markdown_blocks import MarkdownPiece, Splitter
from opportune.web.rendering.markdown_parser import to_html

MAX_CACHED_TEXTS = 64
"""Texts whose HTML is kept."""
MAX_RENDERING_THREADS = 2
"""More would not be done earlier, and keep the interpreter from those whom requests wait for."""
R = TypeVar("R")
_threads = ThreadPoolExecutor(MAX_RENDERING_THREADS, "markdown")
_known: dict[str, Markup] = {}
_CONTINUED = " data-continued"
_SEAM = re.compile(
    rf"</code></pre>\n<pre{_CONTINUED}><code[^>]*>"
    rf'|</tbody>\n</table></div>\n<div class="table-responsive"{_CONTINUED}>.*?</thead>\n<tbody>\n'
    rf'|</([ou]l)>\n<\1(?: start="\d+")?{_CONTINUED}>\n',
    re.DOTALL,
)


def render(text: str) -> Markup:
    """Render any text: what is no Markdown of ours comes out as text."""
    splitter = Splitter()
    splitter.feed(text)
    splitter.finish()
    return join(render_piece(piece) for piece in splitter.pieces)


async def rendered(text: str) -> Markup:
    """Render a text in a thread, and once if it is shown again: one may be made to take long."""
    if text not in _known:
        _known[text] = await in_thread(lambda: render(text))
        if len(_known) > MAX_CACHED_TEXTS:
            del _known[next(iter(_known))]
    return _known[text]


def in_thread(work: Callable[[], R]) -> "asyncio.Future[R]":
    """What rendering gives that may take long, while others are answered."""
    return asyncio.get_running_loop().run_in_executor(_threads, work)


def shown(text: str) -> Markup:
    """Render a text in a template, in the site's type: one that is short, or that `rendered` knows."""
    return Markup('<div class="markdown">{}</div>').format(_known.get(text) or render(text))


def plain(text: str) -> Markup:
    return Markup("<pre>{}</pre>\n").format(text)


def render_piece(piece: MarkdownPiece) -> Markup:
    html = to_html(piece.source)
    if html is None:
        return plain(piece.source)
    if piece.continued:
        html = html.replace(">", f"{_CONTINUED}>", 1)
    return Markup(coloured(html) if piece.is_whole else html)  # noqa: S704 - cleaned there


def join(pieces: Iterable[Markup]) -> Markup:
    """Join rendered pieces; a code block, table or list that was continued is whole again."""
    return Markup(coloured(_SEAM.sub("", "".join(pieces))))  # noqa: S704 - takes away from what was cleaned
