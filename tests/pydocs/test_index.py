"""From Python and from folders to an index, on both databases: whole, or as it was before."""

import keyword
import sqlite3
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from textwrap import dedent

import pytest

from app.pydocs.index import python
from app.pydocs.index.building import Built, build
from app.pydocs.index.docstrings import first_line, to_html
from app.pydocs.index.language import language_pieces
from app.pydocs.index.piece import Batch, Piece
from app.pydocs.index.postgresql import tsvector
from app.pydocs.index.python import PythonSource
from app.pydocs.schemas import EntryRead, IndexMissing
from opportune.atomic_files import private_file
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from tests.pydocs.shelving import fill, piece, search_in, unseen

Found = list[Piece] | str


class Batches:
    """A source that may be interrupted."""

    title = "Batches 1.0"

    def __init__(self, found: dict[str, Found], mark: str = "") -> None:
        self.found = found
        self.mark = mark
        self.read_so_far: list[str] = []
        self.stops_at = ""

    def batches(self) -> list[Batch]:
        return [Batch(name, self.mark) for name in self.found]

    def read(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, Found], None, None]:
        for batch in batches:
            if batch.name == self.stops_at:
                raise KeyboardInterrupt
            self.read_so_far.append(batch.name)
            yield batch, self.found[batch.name]


@pytest.fixture
def source() -> Batches:
    return Batches({"a": [piece("alpha")], "b": "it is broken", "c": [piece("gamma")]})


def built(source: Batches, url: str) -> Built:
    return build(source, DatabaseURL.parse(url), unseen)


async def names(url: str, query: str) -> list[str]:
    search = search_in(url)
    try:
        return [hit.name for hit in (await search.find(query)).items]
    finally:
        await search.close()


async def test_an_index_is_made_of_all_that_could_be_read(source: Batches, empty_database_url: str) -> None:
    assert built(source, empty_database_url) == Built(2, {"b": "it is broken"}, 0)
    search = search_in(empty_database_url)
    status = await search.status()
    await search.close()
    assert (status.entries, status.skipped, status.source) == (2, 1, "Batches 1.0")
    assert status.mends_typos


async def test_a_second_index_takes_the_place_of_the_first(source: Batches, empty_database_url: str) -> None:
    built(source, empty_database_url)
    built(Batches({"d": [piece("delta")]}), empty_database_url)
    assert await names(empty_database_url, "delta") == ["delta"]
    assert await names(empty_database_url, "alpha") == []


async def test_an_interrupted_run_leaves_the_old_index_and_is_gone_on_with(
    source: Batches, empty_database_url: str
) -> None:
    built(Batches({"d": [piece("delta")]}), empty_database_url)
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        built(source, empty_database_url)
    assert await names(empty_database_url, "delta") == ["delta"]
    source.stops_at = ""
    assert built(source, empty_database_url).resumed == 2
    assert source.read_so_far == ["a", "b", "c"]
    assert await names(empty_database_url, "alpha") == ["alpha"]


def test_what_has_changed_since_the_interruption_is_read_again(source: Batches, tmp_path: Path) -> None:
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        built(source, f"sqlite:///{tmp_path / 'index.db'}")
    source.stops_at, source.mark = "", "newer"
    assert built(source, f"sqlite:///{tmp_path / 'index.db'}").resumed == 0
    assert [path.name for path in tmp_path.iterdir()] == ["index.db"]


def test_a_damaged_spool_is_made_anew(source: Batches, tmp_path: Path) -> None:
    (tmp_path / "index.db.part").write_bytes(b"no database " * 100)
    assert built(source, f"sqlite:///{tmp_path / 'index.db'}").entries == 2


async def test_a_source_without_anything_leaves_the_old_index(source: Batches, empty_database_url: str) -> None:
    built(source, empty_database_url)
    with pytest.raises(OperatorError, match="holds nothing that could be indexed"):
        built(Batches({"b": "it is broken"}), empty_database_url)
    assert await names(empty_database_url, "alpha") == ["alpha"]


def test_two_runs_at_once_are_refused(source: Batches, tmp_path: Path) -> None:
    with private_file(tmp_path / "index.db.lock"), pytest.raises(OperatorError, match="Another process is writing"):
        built(source, f"sqlite:///{tmp_path / 'index.db'}")


def test_a_full_disk_leaves_the_old_index_and_is_said(
    source: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.db"
    built(source, f"sqlite:///{path}")
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("app.pydocs.index.sqlite._insert_terms", full)
    with pytest.raises(OperatorError, match=r"The disk of .*index\.db is full"):
        built(source, f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


async def test_what_two_pages_call_the_same_is_kept_once(empty_database_url: str) -> None:
    fill(empty_database_url, [piece("same", "section", "less important"), piece("same", "module", "more important")])
    search = search_in(empty_database_url)
    found = await search.find("same")
    await search.close()
    assert [(hit.kind, hit.title) for hit in found.items] == [("module", "more important")]


async def test_before_the_first_index_there_is_none(empty_database_url: str) -> None:
    search = search_in(empty_database_url)
    for question in (search.find("x"), search.entry("x"), search.status()):
        with pytest.raises(IndexMissing, match="There is no index of the documentation yet"):
            await question
    await search.close()


def test_a_document_has_its_words_where_they_stand() -> None:
    assert tsvector((["os", "path"], ["a", "path"], [])) == "'os':1A 'path':2A,5B 'a':4B"


@pytest.fixture(scope="module")
def described() -> dict[str, Piece]:
    batches = [Batch(name, "") for name in ("builtins", "collections", "json", "math", "os.path", "typing")]
    found = [found for _, found in PythonSource().read(batches)]
    return {piece.slug: piece for pieces in found if not isinstance(pieces, str) for piece in pieces}


def test_python_tells_of_its_modules_classes_functions_and_data(described: dict[str, Piece]) -> None:
    kinds = {slug: described[slug].kind for slug in ("os.path", "dict", "dict.get", "json.dumps", "math.pi")}
    assert list(kinds.values()) == ["module", "class", "method", "function", "data"]
    assert described["json.JSONDecodeError"].kind == "exception"
    join = described["os.path.join"]
    assert (join.signature, join.parent, join.module) == ("join(a, *p)", "os.path", "os.path")
    assert "pathname" in join.title
    assert described["math.pi"].title == "float, 3.141592653589793"
    assert described["dict.get"].parent == "dict"
    assert len(described) > 500


def test_the_list_of_modules_has_what_people_look_for_and_nothing_that_opens_windows() -> None:
    names = {batch.name for batch in PythonSource().batches()}
    assert {"os.path", "asyncio", "concurrent.futures", "xml.etree.ElementTree", "collections.abc"} <= names
    assert not names & {"antigravity", "this", "posixpath", "test.support", "idlelib.idle", "_io", "unittest.__main__"}
    assert len(names) > 300


def test_a_module_that_misbehaves_is_left_out_and_the_next_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "INSPECTING", disturbed(tmp_path))
    read = PythonSource().read([Batch(name, "") for name in ("hang", "die", "fail", "talk", "absent", "json")])
    with monkeypatch.context() as impatient:
        impatient.setattr(python, "PATIENCE", 0.3)
        found = dict([next(read)])
    found |= dict(read)
    assert found[Batch("hang", "")] == "it takes more than 0.3 seconds"
    assert found[Batch("die", "")] == "it ends the process that imports it"
    assert found[Batch("fail", "")] == "RuntimeError: no"
    assert found[Batch("absent", "")] == []
    assert [each[0].slug for each in found.values() if isinstance(each, list) and each] == ["talk", "json"]


def disturbed(folder: Path) -> Path:
    """The program that describes modules, where some of them do what they should not."""
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


def test_nothing_of_this_machine_gets_into_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret of this machine")
    ((_, pieces),) = PythonSource().read([Batch("os", "")])
    assert "os.environ" in {piece.slug for piece in pieces if isinstance(piece, Piece)}
    texts = " ".join(piece.body + piece.signature for piece in pieces if isinstance(piece, Piece))
    assert "a secret of this machine" not in texts
    assert sys.prefix not in texts


def test_paragraphs_flow_and_what_is_laid_out_stays() -> None:
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


def test_headings_within_a_text_are_headings() -> None:
    assert to_html("Above.\n\nParts\n=====\n\nBelow.") == "<p>Above.</p>\n<h2>Parts</h2>\n<p>Below.</p>"


def test_each_keyword_has_its_page_of_the_language_reference() -> None:
    pieces = {piece.name: piece for piece in language_pieces() if piece.kind == "keyword"}
    assert set(keyword.kwlist) - set(pieces) == {"None", "True", "False"}, "which are values"
    assert pieces["for"].title == "The for statement"
    assert pieces["elif"].title == "The if statement"
    assert pieces["match"].title == pieces["case"].title == "The match statement"
    assert "*****" not in pieces["with"].body


async def test_built_ins_and_keywords_come_before_lookalikes(empty_database_url: str) -> None:
    described = next(found for _, found in PythonSource().read([Batch("builtins", "")]) if isinstance(found, list))
    lookalikes = [piece("webbrowser.open"), piece("io.open"), piece("for_each", "module"), piece("withdraw", "module")]
    fill(empty_database_url, [*lookalikes, *language_pieces(), *described])
    search = search_in(empty_database_url)
    for word, kind in {"open": "function", "for": "keyword", "with": "keyword", "yield": "keyword"}.items():
        first = (await search.find(word)).items[0]
        assert (first.name, first.kind) == (word, kind)
    await search.close()
    body = (await entry_of(empty_database_url, "keyword/try")).body_html
    assert "<p>" in body


async def entry_of(url: str, slug: str) -> EntryRead:
    search = search_in(url)
    try:
        return await search.entry(slug)
    finally:
        await search.close()


def test_a_line_that_begins_with_emphasis_is_no_list() -> None:
    assert to_html("The value is an\n*iterable* object.").startswith("<p>")
    assert to_html("* one\n* two").startswith("<pre>")
