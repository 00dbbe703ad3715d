"""Building an index on SQLite and PostgreSQL, and results that are cached until the next build.

A build that fails leaves the old index unchanged.
"""

import errno
import sqlite3
from collections.abc import Generator, Iterable
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy import text

from opportune.contrib.documents import search as search_module
from opportune.contrib.documents.build import Contents, Vocabulary
from opportune.contrib.documents.databases import store_of
from opportune.contrib.documents.names import name_words
from opportune.db.drivers.sync_engines import create_postgresql_engine
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.project.atomic_files import private_file, temporary_path
from tests.opportune.contrib.documents.shelf import CodeDocument, code_document, open_search, shelf, write_index

DocumentsOrError = list[CodeDocument] | str
FULL_DISK = {
    "sqlite": (sqlite3.OperationalError("database or disk is full"), OSError(errno.ENOSPC, "full")),
    "postgresql": (psycopg.errors.DiskFull("full"),),
}


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
    build_index(ScriptedSource({"a": [code_document("al\xa0pha", text="\0" + "字" * 3_000)]}), empty_database_url)
    assert await find_names(empty_database_url, "字" * 300) == ["al\xa0pha"]
    search = open_search(empty_database_url)
    assert (await search.get("al\xa0pha")).document["text"][:1] == "字", "without NUL"
    await search.close()


@pytest.mark.database("postgresql")
def test_clear_drops_what_a_killed_build_left(source: ScriptedSource, empty_database_url: str) -> None:
    build_index(source, empty_database_url)
    url = DatabaseUrl.parse(empty_database_url)
    with create_postgresql_engine(url).connect() as connection:
        connection.execute(text("CREATE SCHEMA shelf_old"))
        connection.commit()
        assert store_of(shelf, url).clear()
        assert connection.scalars(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shelf%'")).all() == []


@pytest.mark.database("sqlite", "postgresql")
async def test_failed_build_keeps_the_old_index(
    source: ScriptedSource, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = DatabaseUrl.parse(empty_database_url)
    build_index(ScriptedSource({"d": [code_document("delta")]}), empty_database_url)
    with pytest.raises(OperatorError, match="contains nothing to index"):
        build_index(ScriptedSource({"b": "it is broken"}), empty_database_url)
    for fault in FULL_DISK[url.kind]:
        monkeypatch.setattr(Vocabulary, "add", Mock(side_effect=fault))
        with pytest.raises(OperatorError, match=r"The disk of .* is full"):
            build_index(source, empty_database_url)
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        build_index(source, empty_database_url)
    assert await find_names(empty_database_url, "delta") == ["delta"]
    assert url.kind == "postgresql" or [*url.path.parent.glob("*.tmp*")] == []


def test_index_that_cannot_be_removed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_index(url := f"sqlite:///{tmp_path / 'index.db'}", [code_document("one")])
    monkeypatch.setattr(Path, "unlink", Mock(side_effect=PermissionError))
    with pytest.raises(OperatorError, match="PermissionError"):
        store_of(shelf, DatabaseUrl.parse(url)).clear()


def test_concurrent_build_is_refused(source: ScriptedSource, tmp_path: Path) -> None:
    with (
        private_file(temporary_path(tmp_path / "index.db")),
        pytest.raises(OperatorError, match="Another process is writing"),
    ):
        build_index(source, f"sqlite:///{tmp_path / 'index.db'}")


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
    await search.engine.refresh()
    for language in ("en", "de"):
        with use_language(language):
            await show(b"a")
    await search.close()
    assert rendered[-2:] == [b"a", b"a"]


def test_name_is_split_into_words() -> None:
    assert name_words("collections.OrderedDict") == ["collections", "ordereddict", "ordered", "dict"]
    assert name_words("asyncio.get_event_loop") == ["asyncio", "get", "event", "loop"]
    assert name_words("http.HTTPStatus")[2:] == ["http", "status"]
    assert max(map(len, name_words("aB" + "\ufdfa" * 200))) <= 200  # folds to 18 characters
