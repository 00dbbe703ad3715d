"""Sections of HTML pages and Markdown files, by their headings."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from opportune.contrib.extraction.pages import Page, section

SILENT = {"script", "style", "template", "noscript", "svg", "nav", "footer", "select", "iframe", "object"}
HEADINGS = {"h1", "h2", "h3", "h4"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span", "strong"}
INLINE |= {"sub", "sup", "time", "u", "wbr", "font", "var", "samp", "del", "ins"}
BLANK = re.compile(r"[ \t\r\f\v\xa0]+")
BLANK_LINES = re.compile(r" ?\n[ \n]*\n ?")
FENCE = re.compile(r"\s*(?:```|~~~)")
MARKDOWN_HEADING = re.compile(r"#{1,4}\s+(.*?)\s*#*\s*")


class SectionParser(HTMLParser):
    """Collects the visible text of each section. Scripts and navigation are left out, and nothing is executed."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[tuple[str, list[str]]] = [("", [])]
        self.title = ""
        self._silent_depth = 0
        self._text: list[str] = self.sections[0][1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in SILENT:
            self._silent_depth += 1
        elif self._silent_depth:
            return
        elif tag in HEADINGS or tag == "title":
            self._text = []
        elif tag not in INLINE:
            self._text.append("\n" if tag in ("br", "li", "tr", "td", "th") else "\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent_depth = max(0, self._silent_depth - 1)
        elif self._silent_depth:
            return
        elif tag == "title":
            self.title = self.title or " ".join("".join(self._text).split())
            self._text = self.sections[-1][1]
        elif tag in HEADINGS:
            self.sections.append((" ".join("".join(self._text).split()), []))
            self._text = self.sections[-1][1]
        elif tag not in INLINE:
            self._text.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent_depth:
            self._text.append(data.replace("\n", " "))


def read_html(text: str) -> Iterator[Page]:
    """Yield the sections of a page. The first heading is its title."""
    parser = SectionParser()
    parser.feed(text.replace("\0", ""))
    parser.close()
    for index, (heading, texts) in enumerate(parser.sections):
        body = BLANK_LINES.sub("\n\n", BLANK.sub(" ", "".join(texts))).strip()
        yield from section(heading or (parser.title if index == 0 and body else ""), body)


def read_markdown(text: str) -> Iterator[Page]:
    """Yield the sections of a Markdown file as they are written."""
    heading, lines, is_code = "", list[str](), False
    for line in text.splitlines():
        if FENCE.match(line):
            is_code = not is_code
        if not is_code and (match := MARKDOWN_HEADING.fullmatch(line)):
            yield from section(heading, "\n".join(lines))
            heading, lines = match[1], []
        else:
            lines.append(line)
    yield from section(heading, "\n".join(lines))
