"""The mark of the user in each form of a page that posts."""

import re
from collections.abc import Iterable, Iterator

from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

FORM_MARKUP = re.compile(r"""<form(?=[\s>])|["'>]""", re.IGNORECASE)
"""Beginning of a form, and the characters that end its opening tag and the values of attributes."""
POSTS = re.compile(r"""(?:^|\s)(?:method\s*=\s*["']?post\b|hx-(?:post|put|patch|delete)\s*=)""", re.IGNORECASE)
QUOTES_AND_END = ('"', "'", ">")
ANY_USER = "data-any-user"
"""Attribute of forms that are right for each user, such as the one that signs out."""
FORM_USER_CALL = (
    ("variable_begin", "{{"),
    ("name", "form_user"),
    ("lparen", "("),
    ("rparen", ")"),
    ("variable_end", "}}"),
)


class PostForms(Extension):
    """Inserts `{{ form_user() }}` after the opening tag of each form that posts, when a template is compiled."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        return _FormTags().insert_fields(stream)


class _FormTags:
    """Opening tags of forms in the HTML of a template, whose attributes may contain expressions and conditions."""

    def __init__(self) -> None:
        self.tag: str | None = None
        """Text of the opening tag of a form so far. None outside of one."""
        self.quote = ""
        """Quote that ends the value of the current attribute."""

    def insert_fields(self, stream: Iterable[Token]) -> Iterator[Token]:
        previous_type = ""
        is_message = False
        for token in stream:
            if previous_type == "block_begin" and token.value in ("trans", "endtrans"):
                is_message = token.value == "trans"  # a text allows no calls
            previous_type = token.type
            if token.type == "data" and not is_message:
                yield from self._with_fields(token)
            else:
                yield token

    def _with_fields(self, html: Token) -> Iterator[Token]:
        start = 0
        for end in self._ends_of_tags(html.value):
            yield Token(html.lineno, "data", html.value[start:end])
            yield from (Token(html.lineno, type_, value) for type_, value in FORM_USER_CALL)
            start = end
        if start < len(html.value):
            yield Token(html.lineno, "data", html.value[start:])

    def _ends_of_tags(self, html: str) -> Iterator[int]:
        """Yield the positions behind the opening tags of forms that post."""
        start = 0
        for match in FORM_MARKUP.finditer(html):
            if self.tag is None:
                if match[0] not in QUOTES_AND_END:
                    self.tag = ""
                    start = match.end()
            elif self.quote:
                if match[0] == self.quote:
                    self.quote = ""
            elif match[0] == ">":
                tag = self.tag + html[start : match.start()]
                self.tag = None
                if POSTS.search(tag) and ANY_USER not in tag:
                    yield match.end()
            elif match[0] in QUOTES_AND_END:
                self.quote = match[0]
        if self.tag is not None:  # the tag ends in the next piece of HTML
            self.tag += html[start:]
