"""Renamed tables and columns keep their data."""

import pytest
from sqlalchemy import Column, ForeignKey, Index, String, UniqueConstraint, func

from opportune.db.migrations.questions import Choices
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import ID, SampleFeatures


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """Books with an index, unique constraints, an expression index and a foreign key."""
    book, offer = "library_book (name, code) VALUES ('Emma', 'e')", "shop_offer (id, book_id) VALUES (1, 1)"
    return make_sample(declare, f"INSERT INTO {book}", f"INSERT INTO {offer}")


def declare(sample: SampleFeatures, table: str = "library_book", name: str = "name", length: int = 50) -> None:
    sample.metadata.clear()
    book = sample.table(
        table,
        Column(name, String(length), nullable=False, index=True),
        Column("code", String(9), nullable=False, unique=True),
        UniqueConstraint("code", name),
    )
    Index("ix_library_book_lower", func.lower(book.c[name]))
    sample.table("shop_offer", Column("book_id", ID, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False))


def make(sample: SampleFeatures, **renames: str) -> list[str]:
    sample.choices = Choices(renames)
    return sample.make_migrations()


@pytest.mark.database("sqlite", "postgresql")
def test_renamed_column_keeps_values_and_indexes(books: SampleFeatures) -> None:
    declare(books, name="title")
    assert make(books, name="title") == ["library/0002_rename_book_name.py"]
    assert books.execute("SELECT name FROM library_book") == [("Emma",)]
    assert books.migrate() == ["upgrade library.0002_rename_book_name"]
    assert books.execute("SELECT title FROM library_book") == [("Emma",)]
    assert books.draft_migrations() == []
    assert books.migrate("library", "1") == ["downgrade library.0002_rename_book_name"]
    assert books.execute("SELECT name FROM library_book") == [("Emma",)]


@pytest.mark.database("sqlite", "postgresql")
def test_renamed_table_keeps_rows_and_references(books: SampleFeatures) -> None:
    declare(books, table="library_volume")
    assert make(books, library_book="library_volume") == ["library/0002_rename_book.py"]
    books.migrate()
    assert books.execute("SELECT name FROM library_volume") == [("Emma",)]
    assert books.execute("SELECT book_id FROM shop_offer") == [(1,)]
    assert books.draft_migrations() == []
    books.execute("INSERT INTO library_volume (name, code) VALUES ('Persuasion', 'p')")
    books.migrate("library", "1")
    assert books.execute("SELECT name FROM library_book ORDER BY id") == [("Emma",), ("Persuasion",)]
    books.migrate("library", "zero")
    assert books.migrate()[1:] == ["upgrade shop.0001_initial", "upgrade library.0002_rename_book"]
    assert books.draft_migrations() == []


class Answers:
    """Answers to the questions of `makemigrations`, yes or no, with the questions."""

    def __init__(self, *, yes: bool) -> None:
        self.yes = yes
        self.questions: list[str] = []

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.yes


def test_possible_rename_is_asked_once(books: SampleFeatures) -> None:
    declare(books, name="title")
    no, yes = Answers(yes=False), Answers(yes=True)
    books.choices = Choices(fills={"title": "x"}, confirm=no)
    (draft,) = books.draft_migrations()
    assert no.questions == ["Was book.name renamed to book.title (a VARCHAR(50))?"]
    assert "- Drop column name of library_book" in map(str, draft.changes)
    books.choices = Choices(confirm=yes)
    (draft,) = books.draft_migrations()
    assert yes.questions == no.questions
    assert str(draft.changes[0]) == "~ Rename column name of library_book to title"
