"""Formulas in Markdown."""

import re

import pytest

from opportune.web.rendering.markdown import render
from opportune.web.rendering.tex import MAX_FORMULA_LENGTH

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


@pytest.mark.parametrize(
    ("source", "mathml"),
    [
        ("a<b", "<mo>&lt;</mo>"),
        (r"\text{<b> & c}", "<mtext>&lt;b&gt;&nbsp;&amp;&nbsp;c</mtext>"),
        (r"\mathrm{kg}", "<mtext>kg</mtext>"),
        (r"\mathbb{R}", "<mi>\N{DOUBLE-STRUCK CAPITAL R}</mi>"),
        (r"\overline{AB}", '<mo stretchy="true">¯</mo>'),
    ],
)
def test_formula_has_element(source: str, mathml: str) -> None:
    assert mathml in render(f"${source}$")


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
    assert re.findall(r"<mspace[^>]*>", html) == [
        "<mspace>",
        "<mspace>",
        '<mspace width="2em">',
        '<mspace height="1em">',
    ]
    assert "voffset" not in html
    assert "mathsize" not in html
