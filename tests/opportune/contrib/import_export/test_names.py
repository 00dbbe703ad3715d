"""Import and export of related rows, such as authors and tags, by their names."""

import json
import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import delete, select
from sqlmodel import col

from opportune.contrib.import_export import export
from opportune.contrib.import_export.name_lists import join_names, split_names
from opportune.db import load
from opportune.testing import counted_statements
from tests.opportune.admin.bookshelf_feature import Author, Book, BookTag, Country, Review, Tag
from tests.opportune.contrib.import_export.import_steps import confirm_preview, extract_text, read_faults, upload_file
from tests.opportune.site_with import staff_fixture
from tests.opportune.stored_rows import add_rows, execute, read_all

HEADER = "title,slug,isbn,author,tags,price"
MAX_STATEMENTS = 40
KRISTIN = ("Kristin", "Sigrid", ["Epic", "a|b\\c, d"], Decimal("9.50"))
SALKA = ("Salka", "Halldór", ["Epic", "Saga"], Decimal(0))


@pytest.fixture
async def app(app_with_bookshelf: FastAPI) -> FastAPI:
    countries = Country(name="Congo"), Country(name="Congo")
    tags = Tag(name="Epic"), Tag(name="a|b\\c, d")
    await add_rows(app_with_bookshelf, Author(name="Sigrid"), *countries, *tags)
    return app_with_bookshelf


staff = staff_fixture("book.import", "book.create", "book.list", "author.list", "tag.get")


async def upload(
    admin: AsyncClient, content: str | bytes, name: str = "books.csv", model: str = "book", **choices: str
) -> Response:
    return await upload_file(admin, f"/admin/{model}/import", content, name, **choices)


async def read_books(app: FastAPI) -> list[tuple[str, str, list[str], Decimal]]:
    """Return title, author, tags and price of each book."""
    statement = select(Book).options(load(Book.author), load(Book.tags)).order_by(col(Book.id))
    books = await read_all(app, statement)
    return [(book.title, book.author.name, sorted(tag.name for tag in book.tags), book.price) for book in books]


async def read_names(app: FastAPI, model: type[Author] | type[Tag]) -> list[str]:
    return await read_all(app, select(col(model.name)).order_by(col(model.id)))


async def test_missing_related_rows_are_created(app: FastAPI, admin: AsyncClient) -> None:
    csv = f'{HEADER}\nKristin,k,1,Sigrid,"Epic|a\\|b\\\\c, d",9.50\nSalka,s,2,Halldór, Saga | Epic ,0\n'
    rows = [
        {"title": "Kristin", "slug": "k", "isbn": "1", "author": "Sigrid", "tags": ["Epic", "a|b\\c, d"], "price": 9.5},
        {"title": "Salka", "slug": "s", "isbn": "2", "author": "Halldór", "tags": ["Saga", "Epic"], "price": 0},
    ]
    for content, name in ((json.dumps(rows), "books.json"), (csv, "books.csv")):
        preview = await upload(admin, content, name)
        assert "adds 2 books. Existing rows are not changed." in extract_text(preview)
        assert "It also adds 1 author to which its rows refer: Halldór." in extract_text(preview)
        assert "It also adds 1 tag to which its rows refer: Saga." in extract_text(preview)
    assert (await read_books(app), await read_names(app, Author)) == ([], ["Sigrid"])
    assert (await confirm_preview(admin, preview)).status_code == 303
    assert await read_books(app) == [KRISTIN, SALKA]
    assert (await read_names(app, Author), (await read_names(app, Tag))[2:]) == (["Sigrid", "Halldór"], ["Saga"])


OTHERS: list[tuple[type[Any], type[Any], dict[str, Any], str]] = [
    (Book, Tag, {"name": "Saga"}, "Undone: 1 book."),
    (Book, Review, {}, "Nothing was undone: Other rows still refer to it (1 review). Delete or change them first."),
    (Book, BookTag, {"tag_id": 2}, "Nothing was undone: “Emma” has been changed again (Tags)."),
    (Author, Book, {"title": "", "slug": "", "isbn": ""}, "Other rows still refer to it (1 book)."),
]


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("model", "other", "values", "message"), OTHERS)
async def test_undo_deletes_imported_rows_unless_others_refer(
    app: FastAPI, admin: AsyncClient, model: type[Any], other: type[Any], values: dict[str, Any], message: str
) -> None:
    name = model.__name__.lower()
    row = "name\nJane\n" if model is Author else "title,slug,isbn,author,tags\nEmma,e,1,Sigrid,Epic\n"
    await confirm_preview(admin, await upload(admin, row, model=name))
    (url,) = re.findall(r'action="([^"]*/undo[^"]*)"', (await admin.get(f"/admin/{name}/list")).text)
    imported_id = max(row.id for row in await read_all(app, model))
    await add_rows(app, other(**values, **dict.fromkeys(other.model_fields.keys() & {f"{name}_id"}, imported_id)))
    stored = len(await read_all(app, other))
    await admin.post(unescape(url))
    assert message in unescape((await admin.get(f"/admin/{name}/list")).text)
    assert len(await read_all(app, other)) == stored
    assert (imported_id not in [row.id for row in await read_all(app, model)]) is message.startswith("Undone")


async def test_round_trip_has_few_statements(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "EXPORT_BATCH_ROWS", 10)
    async with app.state.database.writer() as session:
        authors = [Author(name=f"Author {number}") for number in range(12)]
        tags = [Tag(name=f"Tag {number}") for number in range(11)]
        for n in range(25):
            book = Book(title=f"Book {n}", slug=f"b{n}", isbn=str(n), price=Decimal(n), author_id=0)
            book.author = authors[n % 12]
            book.tags = [tags[n % 7], tags[(n % 4) + 7]]
            session.add(book)
    before = await read_books(app)
    with counted_statements("test_bookshelf", "admin_audit") as statements:
        exported = (await admin.get("/admin/book/export/csv")).content
    for model in (BookTag, Book, Author):
        await execute(app, delete(model))
    with counted_statements("test_bookshelf", "admin_audit") as import_statements:
        await confirm_preview(admin, await upload(admin, exported))
    assert await read_books(app) == before
    assert (len(before), len(await read_names(app, Author))) == (25, 12)
    assert len(statements) < MAX_STATEMENTS
    assert len(import_statements) < 2 * MAX_STATEMENTS, "once for the preview, once for the import"


async def test_existing_rows_change_after_a_preview(app: FastAPI, admin: AsyncClient) -> None:
    rows = "isbn,title,slug,author,tags\n1,Kristin,k,Sigrid,Epic\n2,Salka,s,Sigrid,Epic\n"
    await confirm_preview(admin, await upload(admin, rows))
    file = "isbn,author,tags,title\n1,Halldór,Epic|Saga,Kristin\n2,Sigrid,Epic,Salka\n"
    assert "These fields need a column: Slug." in extract_text(await upload(admin, file))
    preview = await upload(admin, file, updates="1")
    text = extract_text(preview)
    assert "adds 0 books, changes 1 and keeps 1 unchanged." in text
    assert "KristinAuthorSigridHalldór TagsEpicEpic|Saga" in text
    assert "Slug" not in text.split("Changes")[1]
    assert [row[1] for row in await read_books(app)] == ["Sigrid", "Sigrid"], "read-only"
    assert (await confirm_preview(admin, preview)).status_code == 303
    assert "Imported 0 books, changed 1; 1 unchanged." in extract_text(await admin.get("/admin/book/list"))
    kristin, salka = [row[:3] for row in await read_books(app)]
    assert (kristin, salka) == (("Kristin", "Halldór", ["Epic", "Saga"]), ("Salka", "Sigrid", ["Epic"]))
    response = await upload(admin, rows.replace("Epic\n2", "\n2"))
    assert read_faults(response)[2] in ("Slug: This value is already in use.", "ISBN: This value is already in use.")


async def test_invalid_updates_are_reported_by_line(app: FastAPI, admin: AsyncClient, staff: AsyncClient) -> None:
    await confirm_preview(admin, await upload(admin, f"{HEADER}\nKristin,k,1,Sigrid,,1\n"))
    for file, message in (
        ("isbn,title\n1,A\n1,B\n", "Line 3: ISBN: “1” is already in row 2."),
        ("isbn,title\n1,\n", "Line 2: Title: Please fill this in."),
        ("isbn,title\n9,New\n", "Line 2: Slug: Please fill this in."),
        ("title\nKristin\n", "Rows to change are identified by the field ISBN. Choose a column for it."),
    ):
        assert message in extract_text(await upload(admin, file, updates="1"))
    assert (await upload(staff, "isbn,title\n1,A\n", updates="1")).status_code == 403
    assert [row[0] for row in await read_books(app)] == ["Kristin"]


FAULTS = [
    ("author", "name,country\nAnn,Congo\n", "Line 2: Country: Several rows are named “Congo”. Use the column"),
    ("review", "book,stars\n9,5\n", "Line 2: Book: “9” does not exist, and a new book needs more than a name: Title"),
    ("book", f"{HEADER}\nA,a,1,{'x' * 101},,1\n", "Line 2: Author: “xxx"),
    ("book", "title,slug,isbn\nA,a,1\n", "These fields need a column: Author."),
    ("book", f"{HEADER}\nA,a,1,,,1\n", "Line 2: Author: Please choose one."),
]


async def test_ambiguous_and_unknown_names_are_reported(app: FastAPI, admin: AsyncClient, staff: AsyncClient) -> None:
    for model, file, message in FAULTS:
        page = await upload(admin, file, model=model)
        assert message in extract_text(page), file
        assert (await read_books(app), await read_names(app, Author)) == ([], ["Sigrid"])
    row = {"title": "A", "slug": "a", "isbn": "1", "author": "Sigrid", "tags": []}
    faults: list[tuple[str, object]]
    faults = [(name, value) for value in ({"name": "Ann"}, [["Ann"]], True, 1.5) for name in ("author", "tags")]
    faults += [("author", ["Ann", "Ben"]), ("author", "\ud800"), ("tags", ["\0"])]
    page = await upload(admin, json.dumps([row | {name: value} for name, value in faults]), "books.json")
    for number, (name, value) in enumerate(faults, 1):
        assert re.match(f"{name.capitalize()}: (Enter|This text)", read_faults(page)[number]), value
    refused = extract_text(await upload(staff, f"{HEADER}\nA,a,1,Nobody,Epic,1\n"))
    assert "Line 2: Author: “Nobody” does not exist, and you may not add one." in refused
    assert "Tags: You may not list these rows, so you cannot choose another one." in refused
    assert await read_names(app, Author) == ["Sigrid"]
    page = await upload(admin, f"{HEADER}\nA,a,1,New,Epic,1\nB,b,1,Newer,Fresh|Epic,1\nC,c,3,New,,1\n")
    assert "Line 3: ISBN: This value is already in use." in extract_text(page)
    assert "adds 2 books." in extract_text(page)
    assert (await read_names(app, Author), await read_books(app)) == (["Sigrid"], [])


def test_names_in_a_cell_round_trip() -> None:
    for names in ([], ["a"], ["a, b", "c"], ["a|b", "c\\", "\\|"], ["-1", "'"]):
        assert split_names(join_names(names)) == names
    assert split_names(" a | b ||c\\") == ["a", "b", "c\\"]


async def test_numeric_names_may_have_zeros(app: FastAPI, admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Author, "natural_key", "country_id", raising=False)
    monkeypatch.setattr(Review, "natural_key", "stars", raising=False)
    await add_rows(app, Author(name="Ann", country_id=2))
    await confirm_preview(admin, await upload(admin, "title,slug,isbn,author\nEmma,e,1,002\n"))
    assert [book[:2] for book in await read_books(app)] == [("Emma", "Ann")]
    await confirm_preview(admin, await upload(admin, "book,stars\n1,4\n", model="review"))
    file = "stars,mood\n004,glad\n"
    for name in ("004", "4.0"):
        page = await upload(admin, f"stars,mood\n{name},glad\n", model="review", updates="1")
        assert "changes 1" in extract_text(page)
    assert (await upload(admin, f"stars\n{10**22}\n", model="review", updates="1")).status_code == 200
    assert "“4” is already in row 2" in extract_text(await upload(admin, f"{file}4,sad\n", model="review", updates="1"))


async def test_equal_decimals_name_the_same_row(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Book, "natural_key", "price", raising=False)
    await confirm_preview(admin, await upload(admin, f"{HEADER}\nEmma,e,1,Sigrid,,10.00\n"))
    for name in (10, "010.0", "1e1"):
        rows = json.dumps([{"price": name, "title": "Emma"}])
        assert "keeps 1" in extract_text(await upload(admin, rows, "a.json", updates="1"))
