"""Search of rows by words, on both databases."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update
from sqlmodel import col

from opportune.db import Database, with_deleted
from opportune.db.migrations.post_migrate import due_statements
from opportune.errors import OperatorError
from opportune.pagination import Paging, paginate
from opportune.search import Searchable
from opportune.search.indexes import Fields
from opportune.search.postgresql import PostgreSQLVectors
from tests.opportune import tables
from tests.opportune.db.trash.shop import Good
from tests.opportune.search.books import Book, Shelf, add, create_indexes, make_tables
from tests.opportune.stored_rows import add_rows, delete_row, execute, read_all

BOOKS = [
    ("Café Müller", "Bread, e-mail and foo.bar/baz."),
    ("Baking bread", "From flour: the straße of <b>Привет</b>."),
    ("Tea", "All of café life, v2 of 3d under_score."),
    ("Bread of heaven", None),
]
TITLES_BY_QUERY: list[tuple[str, list[str]]] = [
    ("cafe", ["Café Müller", "Tea"]),
    ("straße", ["Baking bread"]),
    ("прив", ["Baking bread"]),
    ("e-mail", ["Café Müller"]),
    ("baz", ["Café Müller"]),
    ("3d", ["Tea"]),
    ('"bread of"', ["Bread of heaven"]),
    ('"of bread"', []),
    ("bread -baking -mail", ["Bread of heaven"]),
    ("heaven or flour", ["Baking bread", "Bread of heaven"]),
    ("-bread", []),
    ("", []),
]


async def find_titles(database: Database, books: Searchable[Book], query: str) -> list[str]:
    async with database.reader() as session:
        return [hit.row.title for hit in (await books.find(session, query)).items]


@pytest.mark.database("sqlite", "postgresql")
async def test_rows_are_found_and_marked(database: Database, book_search: Searchable[Book]) -> None:
    await add(database, *BOOKS)
    for query, expected in TITLES_BY_QUERY:
        assert sorted(await find_titles(database, book_search, query)) == expected, query
    async with database.reader() as session:
        results = await book_search.find(session, " bread or прив ", limit=1, page=2)
    (hit,) = results.items
    assert (results.query, results.total, results.pages, results.page) == ("bread or прив", 3, 3, 2)
    assert hit.url == f"/books/{hit.row.id}"
    assert "<mark>" in hit.name_html + hit.snippet_html
    assert "<b>" not in hit.snippet_html


@pytest.mark.database("sqlite", "postgresql")
async def test_first_field_ranks_higher(database: Database, book_search: Searchable[Book]) -> None:
    await add(database, ("Other", "bread " * 3), ("Bread", "other"))
    assert await find_titles(database, book_search, "bread") == ["Bread", "Other"]
    weighted = Searchable(Book, fields=["title", "summary"], weights={"title": "D", "summary": "A"})
    await create_indexes(database)
    assert await find_titles(database, weighted, "bread") == ["Other", "Bread"]


@pytest.mark.database("sqlite", "postgresql")
async def test_custom_query_is_searched_and_paginated(database: Database, book_search: Searchable[Book]) -> None:
    await add(database, *BOOKS)
    long_books = select(Book).where(col(Book.pages) > 100).order_by(col(Book.title))
    async with database.writer() as session:
        await session.execute(update(Book).where(col(Book.title) != "Tea").values(pages=200))
        page = await paginate(session, book_search.search(session, "cafe", long_books), Paging(size=1))
        unfiltered_page = await paginate(session, book_search.search(session, " ", long_books), Paging(size=1))
    assert ([book.title for book in page.items], page.total) == (["Café Müller"], 1)
    assert ([book.title for book in unfiltered_page.items], unfiltered_page.total) == (["Baking bread"], 3)


@pytest.mark.database("postgresql")
async def test_long_texts_fit_into_the_index(database: Database, book_search: Searchable[Book]) -> None:
    texts = [" ".join(chr(0xAC00 + n % 9000) * 4 + chr(first + n // 9000) for n in range(16_600)) for first in (65, 75)]
    await add(database, texts)
    assert len(await find_titles(database, book_search, texts[0][:5])) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_newest_rows_are_ranked(
    database: Database, book_search: Searchable[Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.search.indexes.MAX_RANKED_ROWS", 2)
    await add(database, ("Bread", ""), ("Other", "bread"), ("New bread", ""))
    assert await find_titles(database, book_search, "bread") == ["New bread", "Other"]


@pytest.mark.database("sqlite", "postgresql")
async def test_index_follows_the_transaction(database: Database, book_search: Searchable[Book]) -> None:
    async with database.writer() as session:
        shelf = Shelf(name="gone")
        session.add(shelf)
        await session.flush()
        session.add_all([Book(title="first", shelf_id=shelf.id), Book(title="second"), Book(title="third")])
        await session.flush()
        assert (await book_search.find(session, "first")).total == 1
        await session.execute(update(Book).where(col(Book.title) == "second").values(title="changed"))
        await session.execute(delete(Book).where(col(Book.title) == "third"))
        await session.execute(delete(Shelf))  # also deletes the book by a cascading foreign key
    assert await find_titles(database, book_search, "first or second or third or changed") == ["changed"]
    async with database.writer() as session:
        session.add(Book(title="never"))
        await session.flush()
        assert (await book_search.find(session, "never")).total == 1
        await session.rollback()
    assert await find_titles(database, book_search, "never") == []


@pytest.mark.database("sqlite", "postgresql")
async def test_index_is_searched_during_a_rebuild(database: Database, book_search: Searchable[Book]) -> None:
    await add(database, ("Bread", ""))
    async with database.reader() as session:
        assert (await book_search.find(session, "bread")).total == 1
        if database.url.kind == "sqlite":  # PostgreSQL would wait for this reader
            await book_search.rebuild(database)
            assert (await book_search.find(session, "bread")).total == 1
    await book_search.rebuild(database)
    assert await find_titles(database, book_search, "bread") == ["Bread"]


@pytest.mark.database("sqlite", "postgresql")
async def test_existing_rows_are_indexed(isolated_searchables: None, database: Database) -> None:
    await make_tables(database)
    await add(database, ("Bread", "flour"))
    books = Searchable(Book, fields=["title"])
    Searchable(Shelf, fields=["name"])
    await create_indexes(database)
    assert await find_titles(database, books, "bread or flour") == ["Bread"]
    assert await find_titles(database, books, "flour") == []
    search_with_summary = Searchable(Book, fields=["title", "summary"])
    async with database.engine.connect() as connection:
        assert await connection.run_sync(due_statements)
    await create_indexes(database)
    assert await find_titles(database, search_with_summary, "flour") == ["Bread"]
    async with database.engine.connect() as connection:
        assert await connection.run_sync(due_statements) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_unused_index_is_dropped(
    database: Database, book_search: Searchable[Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opportune.search.registry.registered", {})
    await create_indexes(database)
    await add(database, ("Bread", ""))
    catalogue = "sqlite_master" if database.url.kind == "sqlite" else "pg_class"
    column = "name" if database.url.kind == "sqlite" else "relname"
    remaining = text(f"SELECT {column} FROM {catalogue} WHERE {column} LIKE 'fts%'")  # noqa: S608
    assert await read_all(database, remaining) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_objects_of_other_programs_are_kept(database: Database, book_search: Searchable[Book]) -> None:
    objects = ["CREATE TABLE vectors_of_sales (name TEXT)", "CREATE INDEX fts_sales ON vectors_of_sales (name)"]
    if database.url.kind == "sqlite":
        objects = [objects[0], "CREATE VIRTUAL TABLE fts_sales USING fts5(title)"]  # it contains its texts
    async with database.engine.begin() as connection:
        for statement in objects:
            await connection.execute(text(statement))
        assert await connection.run_sync(due_statements) == []


async def test_replaced_rows_leave_the_index(database: Database, book_search: Searchable[Book]) -> None:
    await add(database, ("Bread", ""))
    await execute(database, text("REPLACE INTO \"order\" (id, title, pages) VALUES (1, 'Tea', 0)"))
    assert await find_titles(database, book_search, "bread") == []
    assert await find_titles(database, book_search, "tea") == ["Tea"]


@pytest.mark.database("sqlite", "postgresql")
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.lists(st.sampled_from(["'", '"', "\\", "\0", "é", "NEAR(", "-", "or", " ", ":*"])).map("".join))
async def test_generated_query_is_no_error(database: Database, book_search: Searchable[Book], query: str) -> None:
    assert await find_titles(database, book_search, query) == []


def test_triggers_of_long_tables_have_storable_names() -> None:
    names = {*PostgreSQLVectors().triggers(Fields("a" * 50, {"title": "A"}))}
    assert [len(name) for name in names] == [63, 63, 63]


def test_unsearchable_field_and_unknown_url_are_refused() -> None:
    for fields, weights, message in (
        (["name"], None, "cannot be searched by name. Its text columns are title, summary"),
        (["title"], {"summary": "A"}, "has a weight for summary, which is not in its fields. Add it there"),
        (["title"], {"title": "E"}, "The weight of title in order is E"),
        ("title", None, "needs a list of fields"),
    ):
        with pytest.raises(OperatorError, match=message):
            Searchable(Book, fields, weights)
    with pytest.raises(OperatorError, match=r"/books/\{slug\} of order has an unknown column \{slug\}"):
        Searchable(Book, ["title"], url="/books/{slug}")


@pytest.mark.database("sqlite", "postgresql")
async def test_deleted_row_is_not_found(isolated_searchables: None, database: Database) -> None:
    await tables.make_tables(database, Good)
    goods = Searchable(Good, fields=["name"], url="/goods/{id}")
    await create_indexes(database)
    gone = Good(id=2, name="Red rocket")
    await add_rows(database, Good(id=1, name="Red anvil"), gone)
    await delete_row(database, gone)
    async with database.reader(fresh=True) as session:
        results = await goods.find(session, "red")
        assert ([hit.row.name for hit in results.items], results.total) == (["Red anvil"], 1)
        assert len((await session.scalars(with_deleted(goods.search(session, "red")))).all()) == 2
