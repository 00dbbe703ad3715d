"""Reads HTML into a tree."""

from html.parser import HTMLParser

from opportune.search.html import HtmlElement


class TreeParser(HTMLParser):
    """Builds the tree while Python's parser reads."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [HtmlElement("")]
        self.main = HtmlElement("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = HtmlElement(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if not element.is_void:
            self.open.append(element)
        if not self.main.tag and (tag == "main" or element.attributes.get("role") == "main"):
            self.main = element

    def handle_endtag(self, tag: str) -> None:
        outermost = self.open.index(self.main) if self.main in self.open else 1
        depths = range(len(self.open) - 1, outermost - 1, -1)
        del self.open[next((depth for depth in depths if self.open[depth].tag == tag), len(self.open)) :]

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)
