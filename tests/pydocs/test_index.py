"""Documentation of Python and its language, and the ranking of entries."""

import keyword
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from app.pydocs.documents import Piece
from app.pydocs.schemas import EntryRead
from app.pydocs.sources import python
from app.pydocs.sources.docstrings import first_line, to_html
from app.pydocs.sources.language import language_pieces
from app.pydocs.sources.python import PythonSource
from opportune.search import Batch
from tests.pydocs.search_index import fill, piece, search_in


@pytest.fixture(scope="module")
def described() -> dict[str, Piece]:
    batches = [Batch(name, "") for name in ("builtins", "collections", "json", "math", "os.path", "typing")]
    results = [result for _, result in PythonSource().read(batches)]
    return {piece.slug: piece for pieces in results if not isinstance(pieces, str) for piece in pieces}


def test_python_objects_are_described(described: dict[str, Piece]) -> None:
    kinds = {slug: described[slug].kind for slug in ("os.path", "dict", "dict.get", "json.dumps", "math.pi")}
    assert list(kinds.values()) == ["module", "class", "method", "function", "data"]
    assert described["json.JSONDecodeError"].kind == "exception"
    join = described["os.path.join"]
    assert (join.signature, join.parent, join.module) == ("join(a, *p)", "os.path", "os.path")
    assert "pathname" in join.title
    assert described["math.pi"].title == "float, 3.141592653589793"
    assert described["dict.get"].parent == "dict"
    assert len(described) > 500


def test_module_list_has_no_gui_modules() -> None:
    names = {batch.name for batch in PythonSource().batches()}
    assert {"os.path", "asyncio", "concurrent.futures", "xml.etree.ElementTree", "collections.abc"} <= names
    assert not names & {"antigravity", "this", "posixpath", "test.support", "idlelib.idle", "_io", "unittest.__main__"}
    assert len(names) > 300


def test_failing_module_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "INSPECTING", disturbed(tmp_path))
    read = PythonSource().read([Batch(name, "") for name in ("hang", "die", "fail", "talk", "absent", "json")])
    with monkeypatch.context() as impatient:
        impatient.setattr(python, "MODULE_TIMEOUT_SECONDS", 0.3)
        results = dict([next(read)])
    results |= dict(read)
    assert results[Batch("hang", "")] == "it ends its process, or takes more than 0.3 seconds"
    assert results[Batch("die", "")] == "it ends its process, or takes more than 20 seconds"
    assert results[Batch("fail", "")] == "RuntimeError: no"
    assert results[Batch("absent", "")] == []
    assert [pieces[0].slug for pieces in results.values() if isinstance(pieces, list) and pieces] == ["talk", "json"]


def disturbed(folder: Path) -> Path:
    """The program that describes modules, with misbehaving modules."""
    modules = {
        "hang": "import time; time.sleep(60)",
        "die": "import os; os._exit(3)",
        "fail": "raise RuntimeError('no')",
        "talk": "print('[]', flush=True); import os; os.write(1, b'[]')",
    }
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    program = python.INSPECTING.read_text()
    (folder / "inspecting.py").write_text(f"import sys; sys.path.append({str(folder)!r})\n{program}")
    return folder / "inspecting.py"


def test_index_contains_no_local_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret of this machine")
    ((_, pieces),) = PythonSource().read([Batch("os", "")])
    assert "os.environ" in {piece.slug for piece in pieces if isinstance(piece, Piece)}
    texts = " ".join(piece.body + piece.signature for piece in pieces if isinstance(piece, Piece))
    assert "a secret of this machine" not in texts
    assert sys.prefix not in texts


def test_preformatted_text_is_kept() -> None:
    doc = dedent("""\
        join(a) -> b

        Joins <two>
        lines.

        >>> join(1)
        2

        - first
        - second
        """)
    assert to_html(doc) == (
        "<p>join(a) -&gt; b</p>\n<p>Joins &lt;two&gt;\nlines.</p>\n"
        "<pre>&gt;&gt;&gt; join(1)\n2\n\n- first\n- second</pre>"
    )
    assert first_line(doc, "os.join") == "Joins <two>"
    assert (to_html(""), first_line("", "x")) == ("", "")


def test_headings_in_docstrings_are_headings() -> None:
    assert to_html("Above.\n\nParts\n=====\n\nBelow.") == "<p>Above.</p>\n<h2>Parts</h2>\n<p>Below.</p>"


def test_keywords_link_to_the_language_reference() -> None:
    pieces = {piece.name: piece for piece in language_pieces() if piece.kind == "keyword"}
    assert set(keyword.kwlist) - set(pieces) == {"None", "True", "False"}, "values are not keywords with a page"
    assert pieces["for"].title == "The for statement"
    assert pieces["elif"].title == "The if statement"
    assert pieces["match"].title == pieces["case"].title == "The match statement"
    assert "*****" not in pieces["with"].body


async def test_builtins_rank_first(empty_database_url: str, described: dict[str, Piece]) -> None:
    built_in = [piece for piece in described.values() if piece.module == "builtins"]
    lookalikes = [piece("webbrowser.open"), piece("io.open"), piece("for_each", "module"), piece("withdraw", "module")]
    fill(empty_database_url, [*lookalikes, *language_pieces(), *built_in])
    search = search_in(empty_database_url)
    for word, kind in {"open": "function", "for": "keyword", "with": "keyword", "yield": "keyword"}.items():
        best = (await search.find(word)).items[0]
        assert (best.name, best.kind) == (word, kind)
    await search.close()
    body = (await entry_of(empty_database_url, "keyword/try")).body_html
    assert "<p>" in body


async def entry_of(url: str, slug: str) -> EntryRead:
    search = search_in(url)
    try:
        return EntryRead.of(await search.get(slug))
    finally:
        await search.close()


def test_line_with_emphasis_is_not_a_list() -> None:
    assert to_html("The value is an\n*iterable* object.").startswith("<p>")
    assert to_html("* one\n* two").startswith("<pre>")
