"""Values of existing rows in new required or unique columns."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, String, Uuid
from sqlmodel.sql.sqltypes import UTCDateTime

from opportune.db.migrations.questions import Choices
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

NO_CODE = '{"code": None}'
CODE = "{\"code\": f\"{row['id']}-{row['title']}\"}"


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """Two books."""
    return make_sample(declare, "INSERT INTO library_book (title) VALUES ('Emma'), ('Persuasion')")


def declare(sample: SampleFeatures, *columns: Any, title: bool = True) -> None:
    sample.table("library_book", Column("title", String(50), nullable=not title), *columns)


def make(sample: SampleFeatures, **fills: str | None) -> Path:
    sample.choices = Choices(fills=fills)
    sample.formats = None in fills.values()  # the test edits the file
    (name,) = sample.make_migrations()
    sample.choices.refuse_unused()
    return sample.versions / name


def write(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.database("sqlite", "postgresql")
def test_rows_get_fill_values_and_unique_defaults(books: SampleFeatures) -> None:
    texts = (Column(name, String(9), nullable=False) for name in ("isbn", "mood"))
    read_at: Column[Any] = Column("read_at", UTCDateTime(), nullable=False)
    key = Column("key", Uuid, nullable=False, default=uuid4, unique=True)
    shelf = Column("shelf", String(9), nullable=False, default=lambda: "it's A")
    declare(books, Column("pages", Integer, nullable=False), *texts, read_at, key, shelf)
    path = make(books, pages="7", isbn="", mood="it's :a%", read_at="2026-11-20 10:00")
    assert "import uuid\n" in path.read_text(encoding="utf-8")
    books.migrate()
    query = "SELECT pages, isbn, mood, shelf FROM library_book WHERE read_at = '2026-11-20 10:00:00+00:00'"
    assert books.execute(query) == [(7, "", "it's :a%", "it's A")] * 2
    assert len({*books.execute("SELECT key FROM library_book")}) == 2
    assert books.draft_migrations() == []
    assert books.migrate("library", "1") == ["downgrade library.0002_book_pages_and_more"]


@pytest.mark.parametrize(
    ("fills", "message"),
    [
        ({}, r"add --fill library_book\.pages=VALUE"),
        ({"book.pages": "many"}, r"'many' is not a valid value of library_book.pages \(INTEGER\)"),
    ],
)
def test_fill_value_is_required_and_valid(books: SampleFeatures, fills: dict[str, str], message: str) -> None:
    declare(books, Column("pages", Integer, nullable=False))
    with pytest.raises(OperatorError, match=message):
        make(books, **fills)


@pytest.mark.database("sqlite", "postgresql")
def test_code_fills_each_row(books: SampleFeatures) -> None:
    declare(books, Column("code", String(60), nullable=False, unique=True))
    path = make(books, code=None)
    with pytest.raises(OperatorError, match=r"library\.0002_book_code failed and was undone: .*code.*") as error:
        books.migrate()
    assert re.search(r"FILL in .*0002_book_code\.py\.$", str(error.value))
    assert "_alembic_tmp_" not in str(error.value)
    assert books.execute("SELECT * FROM library_book ORDER BY id")[0] == (1, "Emma")
    write(path, NO_CODE, CODE)
    books.migrate()
    assert books.execute("SELECT code FROM library_book ORDER BY id") == [("1-Emma",), ("2-Persuasion",)]
    assert books.draft_migrations() == []
    with pytest.raises(Exception, match=r"(?i)unique"):
        books.execute("INSERT INTO library_book (title, code) VALUES ('x', '1-Emma')")
    books.migrate("library", "1")
    books.execute("DELETE FROM library_book")
    write(path, CODE, NO_CODE)
    assert books.migrate()


def test_names_in_statements_are_quoted(make_sample: MakeSample) -> None:
    sample = make_sample(lambda sample: sample.table("library_Order"), 'INSERT INTO "library_Order" (id) VALUES (1)')
    code = Column("code", String(9), nullable=False, unique=True)
    sample.table("library_Order", Column("index", String(9)), code)
    write(make(sample, code=None), NO_CODE, "{\"code\": str(row['id'])}")
    sample.migrate()
    sample.table("library_Order", Column("index", String(9), nullable=False), code._copy())
    make(sample, index="A")
    sample.migrate()
    assert sample.execute('SELECT "index", code FROM "library_Order"') == [("A", "1")]


def test_column_that_becomes_required(make_sample: MakeSample) -> None:
    rows = "INSERT INTO library_book (title) VALUES ('Emma'), (NULL)"
    books = make_sample(lambda sample: declare(sample, title=False), rows)
    declare(books)
    for fill, title in ((None, "1"), ("none", "none")):
        path = make(books, title=fill)
        if fill is None:
            write(path, '{"title": None}', '{"title": "1"}')
        books.migrate()
        assert set(books.execute("SELECT title FROM library_book")) == {("Emma",), (title,)}
        assert books.draft_migrations() == []
        books.migrate("library", "1")
        books.execute("UPDATE library_book SET title = NULL WHERE title <> 'Emma'")
        path.unlink()
