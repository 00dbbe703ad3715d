"""Pages of the documentation and their sections. They are part of the package, and in a clone the folder docs/."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from posixpath import dirname, join, normpath

from opportune.contrib.documents import MAX_TEXT_LENGTH, Document
from opportune.project.layout import FRAMEWORK
from opportune.web import url

PACKAGED = FRAMEWORK / "docs"
FOLDER = PACKAGED if PACKAGED.is_dir() else FRAMEWORK.parent / "docs"
HEADING = re.compile(r"^(#{1,3}) +(.+?) *$")
FENCE = re.compile(r"^ *(```|~~~)")
# Code, which stays as it is, or an image or a link.
CODE = r"^ *(?P<fence>```|~~~)(?s:.*?)^ *(?P=fence)|`[^`]+`"
IMAGE = re.compile(rf"{CODE}|!\[(?P<text>[^\]]*)\]\([^)]*\)", re.MULTILINE)
LINK = re.compile(rf"{CODE}|\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]*)\)", re.MULTILINE)
MARKUP = re.compile(r"^ *```.*$|^\|[-: |]+\|$|[`*|#]+", re.MULTILINE)


@dataclass(slots=True)
class Section(Document):
    """A section of a page. Its name is its heading, and its title is that of the page."""

    page: str = field(default="", kw_only=True)
    """Name of the page, such as `deploy/render`."""
    anchor: str = field(default="", kw_only=True)
    """Fragment of its URL; empty for the beginning of a page."""
    markdown: str = field(default="", kw_only=True)


@cache
def page_names() -> list[str]:
    """Return the names of all pages, such as `crud` and `deploy/render`."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.md"))


@cache
def sections_of(page: str) -> list[Section]:
    """Return the sections of a page, which must exist."""
    lines = (FOLDER / f"{page}.md").read_text(encoding="utf-8").splitlines()
    title = HEADING.sub(r"\2", lines[0]).replace("`", "")
    boundaries = pairwise([*_find_headings(lines), len(lines)])
    return [_create_section(page, title, lines[start:end]) for start, end in boundaries]


def _create_section(page: str, title: str, lines: Sequence[str]) -> Section:
    heading = plain_text(HEADING.sub(r"\2", lines[0]))
    # The fragment that links to a heading, as on GitHub.
    anchor = "" if lines[0].startswith("# ") else re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return Section(
        slug=f"{page}#{anchor}" if anchor else page,
        name=heading,
        title=title,
        text=plain_text("\n".join(lines[1:]))[:MAX_TEXT_LENGTH],
        page=page,
        anchor=anchor,
        markdown="\n".join(lines),
    )


def _find_headings(lines: Sequence[str]) -> Iterator[int]:
    """Yield the numbers of the lines that are headings, and not comments in a code block."""
    is_code = False
    for number, line in enumerate(lines):
        is_code ^= bool(FENCE.match(line))
        if not is_code and HEADING.match(line):
            yield number


def plain_text(markdown: str) -> str:
    """Return the words of Markdown for search and excerpts."""
    without_images = IMAGE.sub(lambda image: image[0] if image["text"] is None else "", markdown)
    return " ".join(MARKUP.sub(" ", LINK.sub(lambda link: link["text"] or link[0], without_images)).split())


def with_site_links(section: Section) -> str:
    """Return the Markdown of a section with links to pages of the site. Other files are only named."""

    def replace(match: re.Match[str]) -> str:
        text, target = match["text"], match["target"]
        if text is None or target.startswith(("http:", "https:", "mailto:", "#")):
            return match[0]
        file, mark, fragment = target.partition("#")
        page = normpath(join(dirname(section.page), file)).removesuffix(".md")
        return f"[{text}]({url(f'/docs/{page}{mark}{fragment}')})" if page in page_names() else text

    images = IMAGE.sub(lambda image: image[0] if image["text"] is None else f"*{image['text']}*", section.markdown)
    return LINK.sub(replace, images)
