"""Sections of HTML pages."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from opportune.contrib.extraction.pages import Page, join_cells, section

SILENT = {"script", "style", "template", "noscript", "svg", "nav", "footer", "select", "iframe", "object"}
HEADINGS = {"h1", "h2", "h3", "h4"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong"}
INLINE |= {"sub", "sup", "time", "u", "wbr", "font", "var", "samp", "del", "ins"}
SEPARATORS = {"br": "\n", "li": "\n", "tr": "\n"}
CELLS = {"td", "th"}
ROWS = {"tr", "table"}
BLANK = re.compile(r"[ \t\r\f\v\xa0]+")
BLANK_LINES = re.compile(r"\n{2,}")


class SectionParser(HTMLParser):
    """Collects the visible text of each section. Scripts and navigation are left out, and nothing is executed.

    Each cell of a table begins with a zero byte, and blocks inside it do not break its line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[tuple[str, list[str]]] = [("", [])]
        self.title = ""
        self._silent_depth = 0
        self._is_in_cell = False
        self._text: list[str] = self.sections[0][1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in SILENT:
            self._silent_depth += 1
        elif self._silent_depth:
            return
        elif tag in HEADINGS or tag == "title":
            self._end_heading()
            self._text = []
            self._is_in_cell = False
        elif tag in CELLS:
            self._is_in_cell = True
            self._text.append("\0")
        elif tag not in INLINE:
            self._is_in_cell = self._is_in_cell and tag not in ROWS
            self._text.append(" " if self._is_in_cell else SEPARATORS.get(tag, "\n\n"))

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent_depth = max(0, self._silent_depth - 1)
        elif self._silent_depth:
            return
        elif tag == "title":
            self.title = self.title or " ".join("".join(self._text).split())
            self._text = self.sections[-1][1]
        elif tag in HEADINGS:
            self._end_heading(has_end_tag=True)
        elif tag in CELLS | ROWS:
            self._is_in_cell = False
            if tag == "table":
                self._text.append("\n\n")
        elif tag not in INLINE | SEPARATORS.keys():
            self._text.append(" " if self._is_in_cell else "\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent_depth:
            self._text.append(data.replace("\n", " "))

    def close(self) -> None:
        super().close()
        self._end_heading()

    def _end_heading(self, *, has_end_tag: bool = False) -> None:
        """Begin a section if a heading is open. Only the first block of one without an end tag is the heading."""
        if self._text is not self.sections[-1][1]:
            text = "".join(self._text).strip()
            heading, _, body = (text, "", "") if has_end_tag else text.partition("\n\n")
            self._text = [body]
            self.sections.append((" ".join(heading.replace("\0", " ").split()), self._text))


def read_html(text: str) -> Iterator[Page]:
    """Yield the sections of a page. The first heading is its title."""
    parser = SectionParser()
    parser.feed(text.replace("\0", ""))
    parser.close()
    for index, (heading, texts) in enumerate(parser.sections):
        lines = BLANK.sub(" ", "".join(texts)).split("\n")
        joined = "\n".join(join_cells(line.split("\0")) for line in lines)
        body = BLANK_LINES.sub("\n\n", joined).strip()
        title = parser.title if index == 0 and body else ""
        yield from section(heading or title, body)
