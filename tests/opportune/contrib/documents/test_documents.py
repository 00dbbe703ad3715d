"""Search in documents, with the same results on both databases."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest

from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.contrib.documents import MAX_RANKED_HITS, DocumentSearch, sqlite
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import NotFound
from opportune.search import MAX_QUERY_LENGTH
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.contrib.documents.shelf import CodeDocument, Hit, Shelf, code_document, open_search, write_index
from tests.opportune.waiting import wait_until

pytestmark = pytest.mark.database("sqlite", "postgresql")

DOCUMENTS = [
    code_document("os", "module", "Interfaces of the operating system."),
    code_document("os.path", "module", "Common operations on pathnames.", parent="os"),
    code_document("os.path.join", text="Join path components.", parent="os.path"),
    code_document("os.pathconf", text="Return a configuration limit.", parent="os"),
    code_document("os.getcwd", text="Return the current working directory."),
    code_document("site.addpackage", text="Process a .pth file with os functions."),
    code_document("str.join", "method", "Concatenate strings."),
    code_document("dict", "class", "A mapping. <b>Not bold</b>."),
    code_document("collections.OrderedDict", "class", "A dictionary that remembers the order of what was added to it."),
    code_document("collections.Counter", "class", "Counts. A dictionary of numbers, with café."),
    code_document("asyncio", "module", "The asyncio package."),
    code_document("asyncio.gather", text="Return a future that gathers results of a dictionary."),
    code_document("asyncio.get_event_loop", text="Return the event loop."),
    CodeDocument("library/intro.html#reading", "Reading CSV files", "section", text="How a file is read."),
    CodeDocument("library/intro.html", "Introduction", "section", text="Begin here."),
    *(code_document(f"many.item{number}", "data", "One of many.") for number in range(MAX_RANKED_HITS + 5)),
]
HOSTILE = ["\0", "\ud800", '"', "\\", "NEAR(", "OR NOT", "os -", "a" * 10_000]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URLs of indexes that tests only read, one per database."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path_factory.mktemp('shelf') / 'index.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres_server")
        address = server.create_database("shelf")
    write_index(address, DOCUMENTS)
    return address


@pytest.fixture(scope="session")
async def search(url: str) -> AsyncIterator[DocumentSearch[Hit]]:
    search = open_search(url)
    yield search
    await search.close()


async def find_names(search: DocumentSearch[Hit], query: str, limit: int = 20, page: int = 1) -> list[str]:
    return [hit.name for hit in (await search.find(query, limit=limit, page=page)).items]


FIRST_NAMES_BY_QUERY = [
    ("os.pa", ["os.path", "os.pathconf", "os.path.join"]),
    ("OS.Path", ["os.path", "os.pathconf"]),
    ("os path jo", ["os.path.join"]),
    ("join", ["os.path.join", "str.join"]),
    ("path.jo", ["os.path.join"]),
    ("dict", ["dict", "collections.OrderedDict"]),
    ("ordereddict", ["collections.OrderedDict"]),
    ("ordered dict", ["collections.OrderedDict"]),
    ("event loop", ["asyncio.get_event_loop"]),
    ("working dir", ["os.getcwd"]),
    ('"working directory"', ["os.getcwd"]),
    ("reading csv", ["Reading CSV files"]),
    ("cafe", ["collections.Counter"]),
    ("asyncio.g", ["asyncio.gather", "asyncio.get_event_loop"]),
    ("getcwd or gather", ["asyncio.gather", "os.getcwd"]),
]


async def test_best_matches_of_the_words_come_first(search: DocumentSearch[Hit]) -> None:
    for query, first in FIRST_NAMES_BY_QUERY:
        names = (await find_names(search, query))[: len(first)]
        assert (sorted(names) if " or " in query else names) == first, query
    found = {"collections.OrderedDict", "collections.Counter", "asyncio.gather"}
    assert {*await find_names(search, "dictionary")} == found
    assert await find_names(search, "dictionary order") == ["collections.OrderedDict"]
    assert await find_names(search, "dictionary -numbers -future") == ["collections.OrderedDict"]
    assert await find_names(search, '"directory working"') == []


async def test_only_typos_are_corrected(search: DocumentSearch[Hit]) -> None:
    for query, corrected, name in (
        ("dictonary", "dictionary", "collections.OrderedDict"),
        ("os.pth", "os.path", "os.path"),
        ("asycio.gather", "asyncio.gather", "asyncio.gather"),
        ("asyncio.gahter", "asyncio.gather", "asyncio.gather"),
        ("Evnt loop", "event loop", "asyncio.get_event_loop"),
        ("gather", "", "asyncio.gather"),
        ("xyzzyxyzzy", "", None),
    ):
        results = await search.find(query)
        assert (results.query, results.corrected) == (query, corrected)
        names = [hit.name for hit in results.items]
        assert name in names if name else names == []


async def test_matches_are_marked_and_text_is_escaped(search: DocumentSearch[Hit]) -> None:
    hit = (await search.find("dict")).items[0]
    assert hit.name_html == "<mark>dict</mark>"
    assert hit.snippet_html == "A mapping. &lt;b&gt;Not bold&lt;/b&gt;."
    assert (hit.slug, hit.kind) == ("dict", "class")


async def test_results_are_paginated_up_to_a_limit(search: DocumentSearch[Hit]) -> None:
    first_page = await search.find("many", limit=100)
    assert (first_page.total, first_page.pages, len(first_page.items)) == (MAX_RANKED_HITS, 4, 100)
    all_names = [name for page in (1, 2, 3, 4) for name in await find_names(search, "many", 100, page)]
    assert len(set(all_names)) == MAX_RANKED_HITS
    assert await find_names(search, "many", 100, 5) == await find_names(search, "many", 100, 10**6) == []


async def test_hostile_text_finds_nothing(search: DocumentSearch[Hit]) -> None:
    for query in ("", "  ", *HOSTILE):
        results = await search.find(query)
        assert len(results.query) <= MAX_QUERY_LENGTH
        assert "\0" not in results.query
        assert results.query.encode() is not None
    for slug in ("", "os.pat", "OS", "\0", "\ud800", "x" * 10_000, "' or 1=1 --"):
        with pytest.raises(NotFound):
            await search.get(slug)


async def test_index_is_replaced_during_searches(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECK_INTERVAL_SECONDS", 0)
    write_index(empty_database_url, [code_document("before.it")])
    search = open_search(empty_database_url)
    stop = asyncio.Event()
    found_names: set[str] = set()

    async def search_repeatedly() -> None:
        while not stop.is_set():
            results = await search.find("it")
            assert len(results.items) == 1
            found_names.add(results.items[0].name)
            if "after.it" in found_names:
                stop.set()

    searching = asyncio.gather(*(search_repeatedly() for _ in range(4)))
    await wait_until(lambda: "before.it" in found_names or searching.done())
    await asyncio.to_thread(write_index, empty_database_url, [code_document("after.it")])
    await asyncio.wait_for(searching, 30)
    await search.close()
    assert found_names == {"before.it", "after.it"}


async def test_load_that_was_cancelled_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_index(url := f"sqlite:///{tmp_path / 'index.db'}", [code_document("whole")])
    search = open_search(url)
    with monkeypatch.context() as patched:
        patched.setattr(
            "opportune.db.drivers.sqlite_memory.MemoryDatabase.refresh", Mock(side_effect=asyncio.CancelledError)
        )
        with pytest.raises(asyncio.CancelledError):
            await search.find("whole")
    assert await find_names(search, "whole") == ["whole"]
    await search.close()


async def test_damaged_file_keeps_loaded_entries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path / 'index.db'}"
    write_index(url, [code_document("whole")])
    search = open_search(url)
    assert await find_names(search, "whole") == ["whole"]
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    os.replace(tmp_path / "other.db", tmp_path / "index.db")  # noqa: PTH105 - as the build does
    await search.engine.refresh()
    assert await find_names(search, "whole") == ["whole"]
    await search.close()
    assert "Build the index again: python3 oppman.py shelf index" in caplog.text


async def test_index_is_searched_through_pgbouncer(postgres_server: Postgres) -> None:
    with pgbouncer(postgres_server.create_database("shelf_pooled")) as url:
        write_index(url, DOCUMENTS[:12])
        search = open_search(url)
        results = await asyncio.gather(*(find_names(search, "os.pth") for _ in range(8)))
        await search.close()
    assert all(names[0] == "os.path" for names in results)


async def test_exact_words_match_without_pg_trgm(postgres_server: Postgres) -> None:
    url = postgres_server.create_database("shelf_plain")
    write_index(url, DOCUMENTS[:12])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP EXTENSION pg_trgm CASCADE")
    search = open_search(url)
    assert await find_names(search, "asyncio.gather") == ["asyncio.gather"]
    assert (await search.find("asycio.gather")).items == []
    assert not (await search.status()).mends_typos
    await search.close()


@pytest.mark.database("postgresql")  # written into the tables of the older one
async def test_index_with_other_fields_is_rebuilt(empty_database_url: str) -> None:
    write_index(empty_database_url, [code_document("before.it")])
    wider = Shelf("shelf", "the shelf", Wider, Hit)
    store = store_of(wider, DatabaseUrl.parse(empty_database_url))
    store.prepare()
    store.write(Contents.from_documents("Wider", [Wider("after.it", "after.it", more="more")]), lambda number: None)
    search = wider.open(settings_for(empty_database_url))
    assert await find_names(search, "it") == ["after.it"]
    assert (await search.get("after.it")).document["more"] == "more"
    await search.close()


@dataclass(slots=True)
class Wider(CodeDocument):
    more: str = ""
