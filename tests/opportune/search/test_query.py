"""Parsing of queries and highlighting of results."""

import pytest

from opportune.search import highlight, snippet
from opportune.search.dialects import write_fts5, write_tsquery
from opportune.search.query import MAX_QUERY_LENGTH, MAX_QUERY_WORDS, Query
from opportune.search.results import MAX_SNIPPET_CHARS, Highlighter


def test_query_has_words_phrases_and_choices() -> None:
    for text, expected, last_word in (
        ("event loop", [([("event",)], [])], "loop"),
        ("os.path.jo", [([("os",), ("path",)], [])], "jo"),
        ('"event loop" policy', [([("event", "loop")], [])], "policy"),
        ('policy "event loop"', [([("policy",), ("event", "loop")], [])], ""),
        ('open "half a quo', [([("open",), ("half",), ("a",)], [])], "quo"),
        ("open -file", [([("open",)], [("file",)])], ""),
        ('open -"a file" x', [([("open",)], [("a", "file")])], "x"),
        ("csv or json", [([("csv",)], []), ([], [])], "json"),
        ("or", [([], [])], "or"),
        ("csv or", [([("csv",)], [])], "or"),
        ("Café", [([], [])], "cafe"),
        ("- * ' NEAR(", [([], [])], "near"),
    ):
        query = Query.parse(text)
        assert [(choice.required, choice.excluded) for choice in query.choices] == expected, text
        assert query.last_word == last_word, text


def test_query_without_words_is_empty() -> None:
    for text in ("", " ", "*", "“”", "🐍", "\0", "\ud800", "-", '""', "..."):
        assert Query.parse(text).is_blank, text


def test_invalid_characters_and_long_queries_are_cut() -> None:
    query = Query.parse("\0pa\ud800th " + "x " * 5000)
    assert query.text.startswith("path x")
    assert len(query.text) <= MAX_QUERY_LENGTH
    assert sum(len(choice.required) for choice in query.choices) <= MAX_QUERY_WORDS


def test_highlighter_marks_starts_of_words() -> None:
    assert Highlighter(["dict"]).mark("OrderedDict") == "Ordered<mark>Dict</mark>"
    assert Highlighter(["os"]).snippet("<os> & pose") == "&lt;<mark>os</mark>&gt; &amp; pose"
    assert Highlighter([]).mark("<b>") == "&lt;b&gt;"


@pytest.mark.parametrize(("before", "after"), [("", " word"), ("sewing", " word"), ("字" * 90, "字" * 90)])
def test_snippet_surrounds_the_match(before: str, after: str) -> None:
    snippet = Highlighter(["needle"]).snippet("word " * 200 + f"{before}Needle{after}" + "word " * 200)
    assert "<mark>Needle</mark>" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith(" …")
    assert len(snippet) < MAX_SNIPPET_CHARS + 30


def test_marks_ignore_accents_and_case() -> None:
    assert highlight("Crème <brûlée>", "creme BRÛ") == "<mark>Crème</mark> &lt;<mark>brû</mark>lée&gt;"
    assert snippet("Crème " * 100, "creme").startswith("<mark>Crème</mark>")
    assert highlight("<b>", "") == "&lt;b&gt;"


def test_query_syntax_follows_the_database() -> None:
    for text, fts5, tsquery in (
        ("milk bread", '("milk" AND "bread" *)', "(('milk') & 'bread':*)"),
        ('"rye bread" -milk', '("rye bread" NOT "milk")', "(('rye' <-> 'bread') & !('milk'))"),
        ("milk or tea", '("milk") OR ("tea" *)', "(('milk')) | ('tea':*)"),
        ("bread mi", '("bread")', "(('bread'))"),
        ("bread 17", '("bread" AND "17")', "(('bread') & '17')"),
        ("-milk", "", ""),
        ("' NEAR(", '("near" *)', "('near':*)"),
    ):
        query = Query.parse(text)
        assert (write_fts5(query), write_tsquery(query)) == (fts5, tsquery), text
