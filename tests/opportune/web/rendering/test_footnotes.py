"""Footnotes, task lists and formulas in Markdown."""

import re

import pytest

from opportune.web.rendering.growing_markdown import MarkdownBlocks
from opportune.web.rendering.markdown import render, render_in_thread
from opportune.web.rendering.tex import MAX_FORMULA_LENGTH

NOTES = "One[^b], two[^a] and one[^b].\n\n[^a]: About *two*.\n[^b]: About one.\n\n    More.\n"


def ids_and_targets(html: str) -> tuple[list[str], list[str]]:
    return re.findall(r' id="([^"]+)"', html), re.findall(r' href="#([^"]+)"', html)


def test_footnotes_are_numbered_and_linked() -> None:
    html = render(NOTES)
    assert re.findall(r"<sup>(\d+)</sup>", html) == ["1", "2", "1"]
    items = re.findall(r"<li id=[^>]+>(.*?)</li>", html, re.DOTALL)
    assert [re.sub("<[^>]+>|↩.", "", item).split() for item in items] == [["About", "one.", "More."], ["About", "two."]]
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


SUM = r"\sum_{i=1}^n i"


@pytest.mark.parametrize("text", ["$x^2$", r"\(x^2\)", "a ($x^2$).", "|$x^2$|\n|-|"])
def test_formula_in_a_line_becomes_mathml(text: str) -> None:
    assert "<math><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>" in render(text)


@pytest.mark.parametrize(
    "text",
    [
        f"$$\n{SUM}\n$$",
        f"\\[\n{SUM}\n\\]",
        f"a\n$$\n{SUM}\n$$\nb",
        f"a $${SUM}$$ b",
        f"- a\n\n  $$\n  {SUM}\n  $$",
        f"\\begin{{equation*}}\n{SUM}\n\\end{{equation*}}",
    ],
)
def test_formula_in_lines_of_its_own_is_a_block(text: str) -> None:
    html = render(text)
    assert re.search(r'<(div|span) class="formula" tabindex="0"><math display="block">', html)
    assert "<munderover><mo>∑</mo>" in html


@pytest.mark.parametrize(
    "text",
    [
        *("$5 and $10", "$5-$10, A$6 and US$7", r"\$5 and \$6", "$HOME/bin:$PATH", "`$x$`", "```\n$$\nx\n$$\n```"),
        *("$ x $", "$$", "$x", "$x\n\ny$", "$$\nx", r"\(x", r"\begin{align}", r"\begin{itemize}\end{itemize}"),
    ],
)
def test_other_text_with_dollars_stays_text(text: str) -> None:
    assert "<math" not in render(text)


def test_formula_has_element() -> None:
    for source, mathml in (
        ("a<b", "<mo>&lt;</mo>"),
        (r"\text{<b> & c}", "<mtext>&lt;b&gt;&nbsp;&amp;&nbsp;c</mtext>"),
        (r"\mathrm{kg}", "<mtext>kg</mtext>"),
        (r"\mathbb{R}", "<mi>\N{DOUBLE-STRUCK CAPITAL R}</mi>"),
        (r"\overline{AB}", '<mo stretchy="true">¯</mo>'),
    ):
        assert mathml in render(f"${source}$"), source


@pytest.mark.parametrize(
    "source",
    [
        *(r"\foo{x}", "{", r"\left( x", "a & b", r"\def\a{xx}\a", "x" * (MAX_FORMULA_LENGTH + 1)),
        *("{" * 100 + "x" + "}" * 100, r"\sqrt" * 100 + "x", "{" * 900 + "}" * 900),
    ],
)
def test_unreadable_formula_is_its_source(source: str) -> None:
    html = render(f"$$\n{source}\n$$")
    assert "<math" not in html
    assert f"<code>{source}</code>".replace("&", "&amp;") in html


def test_size_of_a_formula_is_limited() -> None:
    html = render(r"$\hspace{9999em} \hspace{-9em} \hspace{2em} \rule{999em}{1em} \raise{9em}{x} \Huge x$")
    widths = ["<mspace>", "<mspace>", '<mspace width="2em">', '<mspace height="1em">']
    assert re.findall(r"<mspace[^>]*>", html) == widths
    assert "voffset" not in html
    assert "mathsize" not in html
