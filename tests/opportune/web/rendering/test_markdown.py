"""Markdown as HTML: its markup, its safety, and the time it takes."""

import asyncio
import re
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from opportune.web.rendering import code_colours, markdown, mathml
from opportune.web.rendering.markdown import render, render_in_thread, render_without_footnote_links
from opportune.web.rendering.markdown_blocks import MAX_BLOCK_CHARS
from tests.opportune.web.rendering.markdown_samples import documents

pytestmark = pytest.mark.usefixtures("no_highlighting_timeout")
REL = 'rel="noopener noreferrer nofollow"'
HOSTILE_TEXTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<img title='--><img src=x onerror=alert(1)>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](java&#x0A;script:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:image/png;base64,aaaa)",
    "[x](file:///etc/passwd)",
    "<javascript:alert(1)>",
    '[x](http://y "onmouseover=alert(1)")',
    '[x](http://y/"onmouseover="alert(1))',
    "![x](https://evil.example/?q=secret)",
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    "[r]: javascript:alert(1)\n\n[r]",
    '```"onclick=alert(1)\nx\n```',
    "```js\nlet a = '</span><script>&lt;script&gt;&amp;lt;';\n```",
    "```x\" style='color:red'\n</code></pre><script>alert(1)</script>\n```",
    "|<script>|\n|-|\n|<img src=x onerror=alert(1)>|",
    "# <base href=//evil.example>",
    "$\\text{<script>alert(1)</script>}$",
    "$\\text{</math><img src=x onerror=alert(1)>}$",
    '$\\href{javascript:alert(1)}{x}$ $\\style{color:red}{x}$ $\\class{a"onclick=b}{x}$ $\\color{red}{x}$',
    "$\\unicode{x3c}script\\unicode{x3e}$ $\\verb|<b>|$ $&#60;b&#62;$",
    "$\\hspace{-99em}\\raise{9em}{x}\\Huge\\rule{99999em}{1em}$",
    "$<script>$ \\(<img src=x onerror=alert(1)>\\)",
    "- [x] <input onfocus=alert(1)> <label for=x>",
    "[^x]<sup>\n\n[^x]: <section id=x></section> </section>",
    '[^"onclick=x]: a',
]
TAG = re.compile(r"<(/?)([a-z0-9]+)((?: [a-z-]+(?:=\"[^\"<]*\")?)*)>")
ATTRIBUTE = re.compile(r' ([a-z-]+)(?:="([^"]*)")?')
TAGS = (
    "a blockquote br code div em h1 h2 h3 h4 h5 h6 hr input label li ol p pre s section span strong sup table tbody td"
)
TAGS += " th thead tr ul"
INPUT = {("input", "type"), ("input", "disabled"), ("input", "checked")}
SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
CLASS = re.compile(
    r"language-[\w+#.-]+|table|table-responsive|text-end|text-center|k|s|m|c|n[fb]|g[di]"
    r"|formula|formula-line|footnote|footnotes|footnote-ref|task-list-item"
)
FOOTNOTE = re.compile(r"(?:note|ref)-[0-9a-f]+-\d+")


def assert_harmless(html: str) -> None:
    assert "<" not in TAG.sub("", html)
    for _, tag, attributes in TAG.findall(html):
        assert tag in TAGS.split() or tag in mathml.ATTRIBUTES_BY_TAG
        for name, value in ATTRIBUTE.findall(attributes):
            is_id = name == "id" and FOOTNOTE.fullmatch(value)
            if name in mathml.ATTRIBUTES_BY_TAG.get(tag, ()) or (tag, name) in INPUT or is_id:
                continue
            assert name in {"href", "title", "rel", "class", "start", "tabindex", "data-continued"}
            assert name != "href" or not SCHEME.match(value) or value.startswith(("http:", "https:", "mailto:"))
            assert name != "class" or CLASS.fullmatch(value)


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_markdown_html_is_safe(text: str) -> None:
    assert_harmless(render(text))
    assert_harmless(render(f"- a\n\n  > {text}\n"))


@settings(deadline=None, max_examples=40)
@given(documents | st.text())
def test_random_text_is_safe(text: str) -> None:
    assert_harmless(render(text))


def test_markdown_becomes_html() -> None:
    for text, html in (
        ("# A\nb *c* **d**", "<h1>A</h1>\n<p>b <em>c</em> <strong>d</strong></p>\n"),
        ("~~a~~ `<b>` <c>", "<p><s>a</s> <code>&lt;b&gt;</code> &lt;c&gt;</p>\n"),
        ("```py\na < b\n```", '<pre><code class="language-py">a &lt; b\n</code></pre>\n'),
        ("```py\nif a:\n```", '<pre><code class="language-py"><span class="k">if </span>a:\n</code></pre>\n'),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        ('[a](https://b.example "c")', f'<p><a href="https://b.example" title="c" {REL}>a</a></p>\n'),
        ("<https://b.example>", f'<p><a href="https://b.example" {REL}>https://b.example</a></p>\n'),
    ):
        assert str(render(text)) == html, text


LONG_CODE = "```js\n" + "return 1;\n" * 600 + "```"
"""Split into several pieces."""


def test_slow_code_is_not_highlighted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_colours, "MAX_LEXER_SECONDS", 0)
    assert "<span" not in render(LONG_CODE)


def test_lexer_does_not_read_long_lines() -> None:
    assert "<span" in render("```console\n$ ls\n```")
    assert "<span" not in render(f"```console\n$ ls\n{'[:]' * 200}\n```")


def test_image_becomes_a_link() -> None:
    for text, html in (
        ("![a *b* <c>](http://d/?e=f)", f'<a href="http://d/?e=f" {REL}>a b &lt;c&gt;</a>'),
        ("[![a](http://b)](http://c)", f'<a href="http://c" {REL}>a</a>'),
    ):
        assert str(render(text)) == f"<p>{html}</p>\n", text


def test_nul_and_lone_surrogates_become_replacement_characters() -> None:
    assert render("a\0b\ud800c") == Markup("<p>a\ufffdb\ufffdc</p>\n")


@pytest.mark.parametrize("text", [">" * 2_000, "![" * 2_000, "[a](" * 2_000, "*a " * 2_000])
def test_deep_nesting_is_rendered(text: str) -> None:
    assert_harmless(render(text))


MAX_CALLS_PER_CHARACTER = 450


def count_calls(text: str) -> int:
    """Count the function calls of a rendering, which do not depend on the load of the machine."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        render(text)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("unit", ["[", "![a](b", "*a", "``a` ", "<a:b>", "$a ", "\\(", "[^1]"])
def test_rendering_time_is_linear(unit: str) -> None:
    calls, calls_of_triple = (count_calls(unit * (length // len(unit))) for length in (250, 750))
    assert calls_of_triple < 750 * MAX_CALLS_PER_CHARACTER
    assert calls_of_triple < 4.5 * calls, "quadratic time would need nine times as many calls"


@pytest.mark.parametrize("unit", ["> ", "- a\n> a\n", "```\n", "|a\n|-\n", "$$\n", "[^1]: a\n"])
def test_block_rendering_time_is_linear(unit: str) -> None:
    length = MAX_BLOCK_CHARS + 500  # split into several pieces
    assert count_calls(unit * (length // len(unit))) < length * MAX_CALLS_PER_CHARACTER


@pytest.mark.parametrize("columns", [10, 300])
def test_short_rows_do_not_multiply_cells(columns: int) -> None:
    table = "|a" * columns + "\n" + "|-" * columns + "\n" + "|\n" * columns
    assert count_calls(table) < len(table) * MAX_CALLS_PER_CHARACTER
    assert render(f"- {table}\n\n> {table}").count("<td") == 0


async def test_text_is_rendered_once_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def render_and_record(text: str) -> str:
        threads.append(threading.current_thread())
        return render_without_footnote_links(text)

    monkeypatch.setattr(markdown, "render_without_footnote_links", render_and_record)
    monkeypatch.setattr(markdown, "MAX_CACHED_LENGTH", 100)
    texts = ["*a*", "*b*", "*c*"]
    for text in [*texts, *texts]:
        assert await render_in_thread(text) == f"<p><em>{text[1]}</em></p>\n"
    assert len(threads) == len(texts)
    assert threading.current_thread() not in threads
    await render_in_thread("long " * 100)
    await render_in_thread(texts[0])
    assert len(threads) == len(texts) + 2, "the oldest texts are no longer cached"


def test_too_deep_nesting_is_plain_text() -> None:
    assert render(">" * 40 + "deep\n\nshallow") == Markup("<pre>{}deep\n\n</pre>\n<p>shallow</p>\n").format(">" * 40)


async def test_rendering_threads_are_limited() -> None:
    running = most_running = 0
    lock, two_are_running = threading.Lock(), threading.Barrier(2, timeout=30)

    def work() -> None:
        nonlocal running, most_running
        with lock:
            running += 1
            most_running = max(most_running, running)
        two_are_running.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(markdown.in_thread(work) for _ in range(8)))
    assert most_running == 2
