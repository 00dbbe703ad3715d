"""HTML as a tree, for sources of documents."""

from collections.abc import Callable
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


def test_scripts_and_void_elements_have_no_text() -> None:
    elements = [*parse_main('<main><script>no()</script><hr class="a b"></main>').elements]
    assert [(element.is_silent, element.is_void) for element in elements] == [(True, False), (False, True)]
    assert elements[1].classes == {"a", "b"}


def test_text_of_deeply_nested_elements_is_read() -> None:
    page = parse_page(f"{'<div>' * 3000}text")
    assert (page.text, len([*page.elements])) == ("text", 3000)


@pytest.mark.parametrize("main", ["<main>{}</main>", "<p role=main>{}</p>"])
def test_deep_elements_keep_their_content(main: str) -> None:
    content = f"<b>one</b>{'<i>' * 150}<script>no()</script>two{'</i>' * 150}three"
    found = parse_main(f"{'<div>' * 150}{main.format(content)}four")
    assert found.text == "oneno()twothree"
    assert [element.text for element in found.elements if element.is_silent] == ["no()"]


@pytest.mark.parametrize("parse", [parse_main, parse_page])
def test_invalid_markup_is_refused(monkeypatch: pytest.MonkeyPatch, parse: Callable[[str], HtmlElement]) -> None:
    def refuse(_parser: HTMLParser, _page: str) -> None:
        raise AssertionError("unknown status keyword")

    # Invalid markup depends on the Python version; newer ones accept all.
    monkeypatch.setattr(HTMLParser, "feed", refuse)
    with pytest.raises(ValueError, match="its markup is invalid"):
        parse("<main><![x]>")
