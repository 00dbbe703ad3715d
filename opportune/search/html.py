"""HTML as a tree, for sources of documents: Python's parser, and the forgiveness of browsers."""

from dataclasses import dataclass, field

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SILENT = {"script", "style", "template", "head"}


@dataclass(eq=False)
class HtmlElement:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[HtmlElement | str]" = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def is_void(self) -> bool:
        """Whether it has no end."""
        return self.tag in VOID

    @property
    def is_silent(self) -> bool:
        """Whether it holds no text for people."""
        return self.tag in SILENT


def parse_main(page: str) -> HtmlElement:
    """The element of a page's own text (`<main>` or `role="main"`), or an empty one.

    What is never closed ends with what is around it, and what ends something around the main text is passed over.

    Raises:
        ValueError: Python's parser cannot go on with it.
    """
    from opportune.search.html_parser import TreeParser  # noqa: PLC0415 - most sites read none, and Python's takes long

    parser = TreeParser()
    try:
        parser.feed(page.replace("\0", ""))
        parser.close()
    except AssertionError as error:  # what it says to markup declarations that make no sense
        raise ValueError(f"its markup makes no sense: {error}") from error
    return parser.main
