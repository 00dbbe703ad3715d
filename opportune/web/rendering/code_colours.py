"""Colours for blocks of code in rendered Markdown: Pygments' classes, of which static/site.css knows these."""

import re
import time
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any

from pygments.lexers import get_lexer_by_name

if TYPE_CHECKING:
    from pygments.lexer import Lexer

MAX_CODE_LENGTH = 10_000
"""Characters of a block, at most: what is longer has no colours."""
MAX_LEXER_SECONDS = 0.1
"""Processor time for a block, at most: lexers can be made to take the square of its length. People's code takes 1 ms
for 1,000 characters."""

CLASSES = {
    "Comment": "c",
    "Generic.Deleted": "gd",
    "Generic.Heading": "c",
    "Generic.Inserted": "gi",
    "Generic.Output": "c",
    "Generic.Prompt": "c",
    "Generic.Subheading": "c",
    "Keyword": "k",
    "Literal.Number": "m",
    "Literal.String": "s",
    "Name.Attribute": "nf",
    "Name.Builtin": "nb",
    "Name.Class": "nf",
    "Name.Constant": "m",
    "Name.Decorator": "nb",
    "Name.Exception": "nb",
    "Name.Function": "nf",
    "Name.Tag": "k",
    "Name.Variable": "nb",
    "Operator.Word": "k",
}
"""One class for what looks the same; each is some bytes of every answer."""
LEXERS = {
    "bash": "bash",
    "c": "c",
    "c#": "csharp",
    "c++": "cpp",
    "console": "console",
    "cpp": "cpp",
    "cs": "csharp",
    "csharp": "csharp",
    "css": "css",
    "diff": "diff",
    "docker": "docker",
    "dockerfile": "docker",
    "go": "go",
    "golang": "go",
    "html": "html",
    "ini": "ini",
    "java": "java",
    "javascript": "javascript",
    "jinja": "html+jinja",
    "js": "javascript",
    "json": "json",
    "jsx": "jsx",
    "kotlin": "kotlin",
    "kt": "kotlin",
    "makefile": "make",
    "nginx": "nginx",
    "php": "php",
    "powershell": "powershell",
    "py": "python",
    "pycon": "pycon",
    "python": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "ruby": "ruby",
    "rust": "rust",
    "scss": "scss",
    "sh": "bash",
    "shell": "bash",
    "sql": "sql",
    "swift": "swift",
    "toml": "toml",
    "ts": "typescript",
    "tsx": "tsx",
    "typescript": "typescript",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
    "zsh": "bash",
}
"""Languages by the names that models and people write behind a fence: others could take any time for a text."""

_CODE = re.compile(r'(<pre><code class="language-([^"]+)">)([^<]+)(?=</code></pre>)')
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def coloured(html: str) -> str:
    """Safe HTML with colours in the blocks of code that have none: what was text in it is text, in spans of ours."""
    return _CODE.sub(_coloured_block, html) if '<pre><code class="' in html else html


def _coloured_block(block: re.Match[str]) -> str:
    name, code = LEXERS.get(block[2].lower()), unescape(block[3])
    if not name or len(code) > MAX_CODE_LENGTH:
        return block[0]
    runs = _runs(_lexer(name), code)
    if "".join(text for _, text in runs) != code:
        return block[0]
    escaped = ((css, text.translate(_ESCAPES)) for css, text in runs)
    return block[1] + "".join(f'<span class="{css}">{text}</span>' if css else text for css, text in escaped)


def _runs(lexer: "Lexer", code: str) -> list[tuple[str, str]]:
    """Pieces of code with their class, neighbours of one class as one; not all of them where that takes too long."""
    runs, end = list[tuple[str, str]](), time.thread_time() + MAX_LEXER_SECONDS
    for _, token, text in lexer.get_tokens_unprocessed(code):
        css = _class_of(token)
        if runs and (runs[-1][0] == css or not text.strip()):
            runs[-1] = runs[-1][0], runs[-1][1] + text
        else:
            runs.append((css, text))
        if time.thread_time() > end:
            break
    return runs


@cache
def _class_of(token: Any) -> str:
    """The class of a kind of token, or of the kind that it is one of."""
    name = str(token).removeprefix("Token.")
    while name and name not in CLASSES:
        name = name.rpartition(".")[0]
    return CLASSES.get(name, "")


@cache
def _lexer(name: str) -> "Lexer":
    return get_lexer_by_name(name)
