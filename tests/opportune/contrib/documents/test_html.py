"""HTML as a tree, for sources of documents."""

from html.parser import HTMLParser

import pytest

from opportune.contrib.documents import HtmlElement, parse_main

PAGE = """<!DOCTYPE html><title>not this</title><div class="a b" role="main"><p>One<br>two</div></div>
<script>no()</script><p title="x">three</main>four"""


def as_lists(element: HtmlElement) -> list[object]:
    return [child if isinstance(child, str) else [child.tag, *as_lists(child)] for child in element.children]


def test_main_text_is_parsed_to_a_tree() -> None:
    main = parse_main(PAGE)
    assert (main.tag, main.classes) == ("div", {"a", "b"})
    assert as_lists(main) == [["p", "One", ["br"], "two"]]


def test_unclosed_element_ends_with_its_parent() -> None:
    assert as_lists(parse_main("<main><ul><li>one<ul><li>two</ul><p>three")) == [
        ["ul", ["li", "one", ["ul", ["li", "two"]], ["p", "three"]]]
    ]


def test_unmatched_end_tag_is_ignored() -> None:
    assert as_lists(parse_main("<body><main>one</body>two</main>three")) == ["one", "two"]


def test_scripts_and_void_elements_have_no_text() -> None:
    script, rule = parse_main("<main><script>no()</script><hr></main>").children
    assert isinstance(script, HtmlElement)
    assert isinstance(rule, HtmlElement)
    assert script.is_silent
    assert not script.is_void
    assert not rule.is_silent
    assert rule.is_void


def test_page_without_main_text_is_empty() -> None:
    assert parse_main("<p>all").children == []


def test_invalid_markup_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_parser: HTMLParser, _page: str) -> None:
        raise AssertionError("unknown status keyword")

    # Invalid markup depends on the Python version; newer ones accept all.
    monkeypatch.setattr(HTMLParser, "feed", refuse)
    with pytest.raises(ValueError, match="its markup is invalid"):
        parse_main("<main><![x]>")
