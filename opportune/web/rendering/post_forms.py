"""Jinja extension that adds the mark of the user to each form with `method="post"`, without a line in templates."""

import re
from collections.abc import Iterable, Iterator

from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

FORM = re.compile(r"<form(?=[\s>])", re.IGNORECASE)
IN_TAG = re.compile(r"""[^"'>]*""")
POSTS = re.compile(r"""(?:^|\s)(?:method\s*=\s*["']?post\b|hx-(?:post|put|patch|delete)\s*=)""", re.IGNORECASE)
ANY_USER = "data-any-user"
"""Attribute of forms that are right for each user, such as the one that signs out."""
CALL = (("variable_begin", "{{"), ("name", "form_user"), ("lparen", "("), ("rparen", ")"), ("variable_end", "}}"))


class PostForms(Extension):
    """Inserts `{{ form_user() }}` after the opening tag, once for each template, when it is compiled."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        return _FormTags().insert_fields(stream)


class _FormTags:
    """Position in the HTML of a template, whose tags may contain expressions and conditions."""

    def __init__(self) -> None:
        self.tag: str | None = None
        """Text of the opening tag of a form so far. None outside of one."""
        self.quote = ""
        self.is_message = False
        """Whether this is a `{% trans %}`, which allows no calls."""

    def insert_fields(self, stream: Iterable[Token]) -> Iterator[Token]:
        previous = ""
        for token in stream:
            if previous == "block_begin" and token.value in ("trans", "endtrans"):
                self.is_message = token.value == "trans"
            previous = token.type
            if token.type != "data" or self.is_message:
                yield token
                continue
            start = 0
            for end in self._ends_of_tags(token.value):
                yield Token(token.lineno, "data", token.value[start:end])
                yield from (Token(token.lineno, type_, value) for type_, value in CALL)
                start = end
            if start < len(token.value):
                yield Token(token.lineno, "data", token.value[start:])

    def _ends_of_tags(self, text: str) -> Iterator[int]:
        """Yield the positions behind the opening tags of forms that post."""
        position = 0
        while position < len(text):
            if self.tag is None:
                match = FORM.search(text, position)
                if match is None:
                    return
                self.tag, position = "", match.end()
            start, position, is_complete = position, *self._scan_tag(text, position)
            self.tag += text[start:position]
            if is_complete:
                if POSTS.search(self.tag) and ANY_USER not in self.tag:
                    yield position
                self.tag = None

    def _scan_tag(self, text: str, position: int) -> tuple[int, bool]:
        """Return the position behind the tag, or the end of the text, and whether the tag is complete."""
        while position < len(text):
            if self.quote:
                end = text.find(self.quote, position)
                if end < 0:
                    return len(text), False
                self.quote, position = "", end + 1
                continue
            position = IN_TAG.match(text, position).end()  # type: ignore[union-attr]  # it also matches nothing
            if position < len(text):
                if text[position] == ">":
                    return position + 1, True
                self.quote, position = text[position], position + 1
        return position, False
