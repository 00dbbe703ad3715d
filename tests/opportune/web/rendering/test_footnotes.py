"""Footnotes and task lists in Markdown."""

import re

import pytest

from opportune.web.rendering.growing_markdown import MarkdownBlocks
from opportune.web.rendering.markdown import render, render_in_thread

NOTES = "One[^b], two[^a] and one[^b].\n\n[^a]: About *two*.\n[^b]: About one.\n\n    More.\n"


def ids_and_targets(html: str) -> tuple[list[str], list[str]]:
    return re.findall(r' id="([^"]+)"', html), re.findall(r' href="#([^"]+)"', html)


def test_footnotes_are_numbered_by_first_reference() -> None:
    html = render(NOTES)
    assert re.findall(r"<sup>(\d+)</sup>", html) == ["1", "2", "1"]
    items = re.findall(r"<li id=[^>]+>(.*?)</li>", html, re.DOTALL)
    assert [re.sub("<[^>]+>|↩.", "", item).split() for item in items] == [["About", "one.", "More."], ["About", "two."]]


def test_footnotes_and_references_link_to_each_other() -> None:
    ids, targets = ids_and_targets(render(NOTES))
    assert len(ids) == len(set(ids)) == 4
    assert set(targets) == set(ids)


async def test_key_makes_ids_of_equal_texts_differ() -> None:
    first, second = [ids_and_targets(await render_in_thread(NOTES, key))[0] for key in ("1", "2")]
    assert not set(first) & set(second)


def test_streamed_pieces_have_no_ids() -> None:
    blocks = MarkdownBlocks()
    for letter in NOTES:
        blocks.feed(letter)
        assert ids_and_targets("".join([*blocks.frozen, blocks.open])) == ([], [])
    assert '<section class="footnote"><sup>a</sup><p>About <em>two</em>.</p>\n</section>' in blocks.open
    blocks.finish()
    assert blocks.html == render(NOTES)


def test_task_is_a_labelled_disabled_check_box() -> None:
    html = render("- [x] Read *this*\n- [ ] Write\n- Rest")
    assert '<label><input checked="checked" disabled="disabled" type="checkbox"> Read <em>this</em></label>' in html
    assert '<li class="task-list-item"><label><input disabled="disabled" type="checkbox"> Write</label></li>' in html
    assert "<li>Rest</li>" in html


@pytest.mark.parametrize("text", ["[ ] a", "- [x]a", "- [x](http://a) b"])
def test_other_brackets_are_no_tasks(text: str) -> None:
    assert "<input" not in render(text)
