"""Search of templates for texts that are not marked for translation."""

from collections.abc import Iterator
from html.parser import HTMLParser

from jinja2 import Environment

from opportune.contrib.documents.html import VOID
from opportune.contrib.translations.readable_texts import EXPRESSION, Unmarked, has_words, readable

ATTRIBUTES = {"alt", "aria-description", "aria-label", "aria-roledescription", "label", "placeholder", "title"}
"""HTML attributes that users can read."""
UNTRANSLATED_TAGS = {"code", "kbd", "pre", "samp", "script", "style", "svg"}
LEXER = Environment(autoescape=True)


def unmarked_in_template(source: str) -> Iterator[Unmarked]:
    """Yield the texts and attributes of a template outside of `{% trans %}` and `_()`."""
    parser = _TextParser()
    parser.feed(_without_code(source))
    parser.close()
    yield from parser.found


def _without_code(source: str) -> str:
    """Return the HTML of a template with its lines, without marked texts and code."""
    html: list[str] = []
    names: list[str] = []
    is_marked = False
    for _line, token, value in LEXER.lex(source):
        line_breaks = "\n" * value.count("\n")
        if token == "data":
            html.append(line_breaks if is_marked else value)
            continue
        if token == "block_begin":
            names = []
        elif token == "name":
            names.append(value)
        elif token == "block_end" and names[:1] in (["trans"], ["endtrans"]):
            is_marked = names[0] == "trans"
        html.append(f"{line_breaks}{EXPRESSION}" if token == "variable_end" else line_breaks)
    return "".join(html)


class _TextParser(HTMLParser):
    """Collects texts and attributes, except those of elements whose text stays English."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Unmarked] = []
        self.untranslated: list[str] = []
        """Open elements, from the outermost whose text stays English."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ATTRIBUTES and has_words(value or ""):
                self.found.append(Unmarked(self.getpos()[0], f'{name}="{readable(value or "")}"'))
        is_untranslated = self.untranslated or tag in UNTRANSLATED_TAGS or ("translate", "no") in attrs
        if is_untranslated and tag not in VOID:
            self.untranslated.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element and unclosed ones within it. The end tag of an outer element closes all."""
        if tag in VOID or not self.untranslated:
            return
        innermost_first = self.untranslated[::-1]
        closed_count = innermost_first.index(tag) + 1 if tag in innermost_first else len(innermost_first)
        del self.untranslated[-closed_count:]

    def handle_data(self, data: str) -> None:
        if not self.untranslated and has_words(data):
            leading = data[: len(data) - len(data.lstrip())]
            self.found.append(Unmarked(self.getpos()[0] + leading.count("\n"), readable(data)))
