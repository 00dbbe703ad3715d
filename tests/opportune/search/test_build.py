"""Build of an index from a source, on both databases: complete, or unchanged."""

import sqlite3
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.runtime.atomic_files import private_file
from opportune.search import Batch, IndexMissing
from opportune.search.documents import definition
from opportune.search.documents.build import BuildResult
from opportune.search.documents.postgresql_store import tsvector
from tests.opportune.search.shelf_index import Piece, fill, piece, search_in, shelf, unseen

Found = list[Piece] | str


class Batches:
    """A source that can be interrupted."""

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


@pytest.fixture(autouse=True)
def _separate_spools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(definition, "FOLDER", tmp_path)


@pytest.fixture
def source() -> Batches:
    return Batches({"a": [piece("alpha")], "b": "it is broken", "c": [piece("gamma")]})


def built(source: Batches, url: str) -> BuildResult:
    return shelf.build(source, DatabaseURL.parse(url), unseen)


async def names(url: str, query: str) -> list[str]:
    search = search_in(url)
    try:
        return [hit.name for hit in (await search.find(query)).items]
    finally:
        await search.close()


async def test_build_skips_unreadable_and_replaces_index(source: Batches, empty_database_url: str) -> None:
    assert built(source, empty_database_url) == BuildResult(2, {"b": "it is broken"}, 0)
    search = search_in(empty_database_url)
    status = await search.status()
    await search.close()
    assert (status.entries, status.skipped, status.source) == (2, 1, "Batches 1.0")
    assert status.mends_typos
    built(Batches({"d": [piece("delta")]}), empty_database_url)
    assert await names(empty_database_url, "delta") == ["delta"]
    assert await names(empty_database_url, "alpha") == []


@pytest.mark.database("sqlite")
async def test_interrupted_build_is_resumed(source: Batches, empty_database_url: str) -> None:
    built(Batches({"d": [piece("delta")]}), empty_database_url)
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        built(source, empty_database_url)
    assert await names(empty_database_url, "delta") == ["delta"]
    source.stops_at = ""
    assert built(source, empty_database_url).resumed == 2
    assert source.read_so_far == ["a", "b", "c"]
    assert await names(empty_database_url, "alpha") == ["alpha"]


def test_resumed_build_reads_changed_sources_again(source: Batches, tmp_path: Path) -> None:
    source.stops_at = "c"
    with pytest.raises(KeyboardInterrupt):
        built(source, f"sqlite:///{tmp_path / 'index.db'}")
    source.stops_at, source.mark = "", "newer"
    assert built(source, f"sqlite:///{tmp_path / 'index.db'}").resumed == 0
    assert [path.name for path in tmp_path.iterdir()] == ["index.db"]


def test_a_damaged_spool_is_made_anew(source: Batches, tmp_path: Path) -> None:
    (tmp_path / "index.db.part").write_bytes(b"no database " * 100)
    assert built(source, f"sqlite:///{tmp_path / 'index.db'}").entries == 2


@pytest.mark.database("sqlite")
async def test_empty_source_keeps_the_old_index(source: Batches, empty_database_url: str) -> None:
    built(source, empty_database_url)
    with pytest.raises(OperatorError, match="contains nothing to index"):
        built(Batches({"b": "it is broken"}), empty_database_url)
    assert await names(empty_database_url, "alpha") == ["alpha"]


def test_source_without_anything_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="contains nothing to index"):
        built(Batches({"b": "it is broken"}), f"sqlite:///{tmp_path / 'index.db'}")
    assert not list(tmp_path.glob("*.tmp*"))


def test_two_runs_at_once_are_refused(source: Batches, tmp_path: Path) -> None:
    with private_file(tmp_path / "index.db.lock"), pytest.raises(OperatorError, match="Another process is writing"):
        built(source, f"sqlite:///{tmp_path / 'index.db'}")


def test_full_disk_keeps_the_old_index(source: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.db"
    built(source, f"sqlite:///{path}")
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("opportune.search.documents.sqlite_store._insert_terms", full)
    with pytest.raises(OperatorError, match=r"The disk of .*index\.db is full"):
        built(source, f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp*"))


@pytest.mark.database("sqlite")
async def test_duplicate_entries_are_stored_once(empty_database_url: str) -> None:
    fill(empty_database_url, [piece("same", "section", "less important"), piece("same", "module", "more important")])
    search = search_in(empty_database_url)
    found = await search.find("same")
    await search.close()
    assert [(hit.kind, hit.title) for hit in found.items] == [("module", "more important")]


@pytest.mark.database("sqlite")
async def test_missing_index_is_reported(empty_database_url: str) -> None:
    search = search_in(empty_database_url)
    for question in (search.find("x"), search.get("x"), search.status()):
        with pytest.raises(IndexMissing, match="There is no index of the shelf yet"):
            await question
    await search.close()


def test_document_fields_have_their_words() -> None:
    assert tsvector((["os", "path"], ["a", "path"], [])) == "'os':1A 'path':2A,5B 'a':4B"
