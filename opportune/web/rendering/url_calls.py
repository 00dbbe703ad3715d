"""Jinja extension that compiles `url(path)` as the filter `path | url`.

Jinja calls a filter directly, which takes a third of the time of a function, and pages have many links. A variable
`url` of a route does not hide it.
"""

from collections.abc import Iterable, Iterator

from jinja2 import pass_context
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context
from starlette.datastructures import URL

from opportune.web.language import url


@pass_context  # otherwise Jinja would evaluate literals when it compiles the template
def url_filter(_context: Context, path: str | URL) -> str:
    return url(path)


class UrlCalls(Extension):
    """Moves the name behind the parentheses: `url("/books")` becomes `("/books") | url`."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        return _as_filters(stream)


def _as_filters(stream: TokenStream) -> Iterator[Token]:
    depth, depths_of_calls, before = 0, list[int](), ""
    for token in stream:
        is_name = token.type == "name" and token.value == "url" and before not in (".", "|", "macro")
        before = token.value
        if is_name and stream.current.type == "lparen":
            depths_of_calls.append(depth)
            continue
        depth += (token.type == "lparen") - (token.type == "rparen")
        yield token
        if token.type == "rparen" and depths_of_calls[-1:] == [depth]:
            depths_of_calls.pop()
            yield Token(token.lineno, "pipe", "|")
            yield Token(token.lineno, "name", "url")
