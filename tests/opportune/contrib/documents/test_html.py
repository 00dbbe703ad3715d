"""HTML as a tree, for sources of documents."""

from html.parser import HTMLParser

import pytest

from opportune.contrib.documents import HtmlElement, parse_main
from opportune.contrib.documents.html import parse_page

PAGE = """<!DOCTYPE html><title>not this</title><div class="a b" role="main"><p>One<br>two</div></div>
<script>no()</script><p title="x">three</main>four"""


def as_lists(element: HtmlElement) -> list[object]:
    return [child if isinstance(child, str) else [child.tag, *as_lists(child)] for child in element.children]


@pytest.mark.parametrize(
    ("page", "tree"),
    [
        pytest.param(PAGE, [["p", "One", ["br"], "two"]], id="main element by its role"),
        pytest.param(
            "<main><ul><li>one<ul><li>two</ul><p>three",
            [["ul", ["li", "one", ["ul", ["li", "two"]], ["p", "three"]]]],
            id="unclosed element ends with its parent",
        ),
        pytest.param("<body><main>one</body>two</main>three", ["one", "two"], id="unmatched end tag is ignored"),
        pytest.param("<p>all", [], id="no main element"),
    ],
)
def test_main_text_is_parsed_to_a_tree(page: str, tree: list[object]) -> None:
    assert as_lists(parse_main(page)) == tree


def test_text_of_deeply_nested_elements_is_read() -> None:
    page = parse_page(f"{'<div>' * 3000}text")
    assert (page.text, len([*page.elements])) == ("text", 3000)


def test_invalid_markup_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_parser: HTMLParser, _page: str) -> None:
        raise AssertionError("unknown status keyword")

    # Invalid markup depends on the Python version; newer ones accept all.
    monkeypatch.setattr(HTMLParser, "feed", refuse)
    with pytest.raises(ValueError, match="its markup is invalid"):
        parse_main("<main><![x]>")
