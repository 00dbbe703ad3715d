"""Syntax highlighting of code blocks in rendered Markdown. static/site.css has the colours of the CSS classes."""

import re
import time
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_CODE_LENGTH = 10_000
"""Length in characters of the longest block that is highlighted."""
LONG_LINE = re.compile(r"[^\n]{500}")
"""Code that is not highlighted, because a lexer can take cubic time for one token: minutes for 10,000 characters."""
MAX_LEXER_SECONDS = 0.1
"""CPU time per block, checked after each token. Usual code takes 1 ms per 1,000 characters."""

TOKENS_BY_CLASS = {
    "c": ("Comment", "Generic.Heading", "Generic.Output", "Generic.Prompt", "Generic.Subheading"),
    "gd": ("Generic.Deleted",),
    "gi": ("Generic.Inserted",),
    "k": ("Keyword", "Name.Tag", "Operator.Word"),
    "m": ("Literal.Number", "Name.Constant"),
    "nb": ("Name.Builtin", "Name.Decorator", "Name.Exception", "Name.Variable"),
    "nf": ("Name.Attribute", "Name.Class", "Name.Function"),
    "s": ("Literal.String",),
}
"""Token types by CSS class. Few classes keep responses small."""
CLASSES = {token: css for css, tokens in TOKENS_BY_CLASS.items() for token in tokens}
LANGUAGES = re.compile(
    r"bash|c|c#|c\+\+|console|cpp|cs|csharp|css|diff|docker|dockerfile|go|golang|html|ini|java|javascript|jinja|js|json"
    r"|jsx|kotlin|kt|makefile|nginx|php|powershell|py|pycon|python|python3|rb|rs|ruby|rust|scss|sh|shell|sql|swift|toml|ts"
    r"|tsx|typescript|xml|yaml|yml|zsh"
)
"""Names of highlighted languages. The lexers of others may be slow."""
LEXERS = {"jinja": "html+jinja", "kt": "kotlin"}
"""Lexers of languages for which Pygments has another name."""

_CODE = re.compile(r'(<pre><code class="language-([^"]+)">)([^<]+)(?=</code></pre>)')
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def highlight_code(html: str) -> str:
    """Highlight the code blocks of safe HTML. Only `<span>` elements are added."""
    return _CODE.sub(_highlight_block, html) if '<pre><code class="' in html else html


def _highlight_block(block: re.Match[str]) -> str:
    language = block[2].lower()
    code = unescape(block[3])
    if not LANGUAGES.fullmatch(language) or len(code) > MAX_CODE_LENGTH or LONG_LINE.search(code):
        return block[0]
    segments = _split_by_class(_lexer(LEXERS.get(language, language)), code)
    if "".join(text for _, text in segments) != code:
        return block[0]
    html = [block[1]]
    for css, text in segments:
        escaped = text.translate(_ESCAPES)
        html.append(f'<span class="{css}">{escaped}</span>' if css else escaped)
    return "".join(html)


def _split_by_class(lexer: "Lexer", code: str) -> list[tuple[str, str]]:
    """Split code into pairs of CSS class and text. The result is incomplete if the time limit is exceeded."""
    segments: list[tuple[str, str]] = []
    deadline = time.thread_time() + MAX_LEXER_SECONDS
    for _, token, text in lexer.get_tokens_unprocessed(code):
        css = _css_class(token)
        if segments and (segments[-1][0] == css or not text.strip()):
            segments[-1] = segments[-1][0], segments[-1][1] + text
        else:
            segments.append((css, text))
        if time.thread_time() > deadline:
            break
    return segments


@cache
def _css_class(token: Any) -> str:
    """Return the CSS class of a token type or of its nearest parent."""
    name = str(token).removeprefix("Token.")
    while name and name not in CLASSES:
        name = name.rpartition(".")[0]
    return CLASSES.get(name, "")


@cache
def _lexer(name: str) -> "Lexer":
    from pygments.lexers import get_lexer_by_name  # only for texts with code

    return get_lexer_by_name(name)
