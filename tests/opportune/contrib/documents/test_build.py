"""Building an index on SQLite and PostgreSQL, and results that are cached until the next build.

A build that fails leaves the old index unchanged.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.contrib.documents import search as search_module
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.db.drivers.sync_engines import create_postgresql_engine
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.project.atomic_files import private_file, temporary_path
from tests.opportune.contrib.documents.shelf import CodeDocument, code_document, open_search, shelf, write_index

DocumentsOrError = list[CodeDocument] | str


class ScriptedSource:
    """Source of documents that raises KeyboardInterrupt at the batch `stops_at`."""

    title = "ScriptedSource 1.0"

    def __init__(self, results: dict[str, DocumentsOrError]) -> None:
        self.results = results
        self.stops_at = ""

    def batches(self) -> list[str]:
        return [*self.results]

    def read(self, batches: Iterable[str]) -> Generator[tuple[str, DocumentsOrError], None, None]:
        for name in batches:
            if name == self.stops_at:
                raise KeyboardInterrupt
            yield name, self.results[name]


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource({"a": [code_document("alpha")], "b": "it is broken", "c": [code_document("gamma")]})


def build_index(source: ScriptedSource, url: str) -> Contents:
    return store_of(shelf, DatabaseUrl.parse(url)).build(source)


async def find_names(url: str, query: str) -> list[str]:
    search = open_search(url)
    try:
        return [hit.name for hit in (await search.find(query)).items]
    finally:
        await search.close()


@pytest.mark.database("sqlite", "postgresql")
async def test_build_skips_unreadable_batches(source: ScriptedSource, empty_database_url: str) -> None:
    contents = build_index(source, empty_database_url)
    assert (len(contents.entries), contents.skipped) == (2, {"b": "it is broken"})
    search = open_search(empty_database_url)
    status = await search.status()
    await search.close()
    assert (status.entries, status.skipped, status.source) == (2, 1, "ScriptedSource 1.0")
    assert status.mends_typos


@pytest.mark.database("sqlite", "postgresql")
async def test_build_replaces_the_index(source: ScriptedSource, empty_database_url: str) -> None:
    build_index(source, empty_database_url)
    build_index(ScriptedSource({"d": [code_document("delta")]}), empty_database_url)
    assert await find_names(empty_database_url, "delta") == ["delta"]
    assert await find_names(empty_database_url, "alpha") == []


@pytest.mark.database("sqlite", "postgresql")
async def test_words_of_any_length_are_found(empty_database_url: str) -> None:
    build_index(ScriptedSource({"a": [code_document("alpha", text="字" * 3_000)]}), empty_database_url)
    assert await find_names(empty_database_url, "字" * 300) == ["alpha"]


@pytest.mark.database("postgresql")
def test_clear_drops_what_a_killed_build_left(source: ScriptedSource, empty_database_url: str) -> None:
    build_index(source, empty_database_url)
    url = DatabaseUrl.parse(empty_database_url)
    with create_postgresql_engine(url).connect() as connection:
        connection.execute(text("CREATE SCHEMA shelf_old"))
        connection.commit()
        assert store_of(shelf, url).clear()
        assert connection.scalars(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shelf%'")).all() == []


async def test_interrupted_build_keeps_the_old_index(source: ScriptedSource, empty_database_url: str) -> None:
    build_index(ScriptedSource({"d": [code_document("delta")]}), empty_database_url)
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        build_index(source, empty_database_url)
    assert await find_names(empty_database_url, "delta") == ["delta"]


@contextmanager
def unchanged_index(source: ScriptedSource, folder: Path) -> Iterator[str]:
    """Yield the URL of an index that the block must not change."""
    path = folder / "index.db"
    build_index(source, f"sqlite:///{path}")
    before = path.read_bytes()
    yield f"sqlite:///{path}"
    assert (path.read_bytes(), list(folder.glob("*.tmp*"))) == (before, [])


def test_empty_source_keeps_the_old_index(source: ScriptedSource, tmp_path: Path) -> None:
    with unchanged_index(source, tmp_path) as url, pytest.raises(OperatorError, match="contains nothing to index"):
        build_index(ScriptedSource({"b": "it is broken"}), url)


def test_concurrent_build_is_refused(source: ScriptedSource, tmp_path: Path) -> None:
    with (
        private_file(temporary_path(tmp_path / "index.db")),
        pytest.raises(OperatorError, match="Another process is writing"),
    ):
        build_index(source, f"sqlite:///{tmp_path / 'index.db'}")


def test_full_disk_keeps_the_old_index(source: ScriptedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(*arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with unchanged_index(source, tmp_path) as url:
        monkeypatch.setattr("opportune.contrib.documents.sqlite._insert_terms", raise_disk_full)
        with pytest.raises(OperatorError, match=r"The disk of .*index\.db is full"):
            build_index(source, url)


def test_most_important_duplicate_is_kept() -> None:
    function, method = code_document("same", "function"), code_document("same", "method")
    for documents in ([function, method], [method, function]):
        assert [entry.document for entry in Contents.from_documents("Shelf", documents).entries] == [function]


async def test_fragment_is_cached_until_the_index_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "MAX_FRAGMENTS", 2)
    url = f"sqlite:///{tmp_path / 'index.db'}"
    write_index(url, [code_document("one")])
    search, rendered = open_search(url), list[bytes]()

    async def show(query: bytes) -> None:
        async def render() -> str:
            rendered.append(query)
            return ""

        await search.fragment(query, render)

    long_query = b"q=" + b"o" * search_module.MAX_FRAGMENT_KEY_LENGTH
    for query in (b"a", b"a", b"b", b"c", b"c", b"a", long_query, long_query):
        await show(query)
    assert rendered == [b"a", b"b", b"c", b"a", long_query, long_query]
    write_index(url, [code_document("two")])
    await search.refresh()
    for language in ("en", "de"):
        with use_language(language):
            await show(b"a")
    await search.close()
    assert rendered[-2:] == [b"a", b"a"]
