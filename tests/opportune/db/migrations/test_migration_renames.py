"""Renamed tables and columns keep their data."""

import pytest
from sqlalchemy import Column, ForeignKey, Index, Integer, String, UniqueConstraint, func

from opportune.db.migrations.questions import Choices
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import ID, SampleFeatures


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """Books with an index, unique constraints, an expression index and a foreign key."""
    return make_sample(
        declare,
        "INSERT INTO library_book (name, code) VALUES ('Emma', 'e')",
        "INSERT INTO shop_offer (id, book_id) VALUES (1, 1)",
    )


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


@pytest.mark.database("sqlite", "postgresql")
def test_table_and_column_are_renamed_together(books: SampleFeatures) -> None:
    declare(books, table="library_volume", name="title", length=80)
    make(books, book="volume", **{"volume.name": "title"})
    books.migrate()
    assert books.execute("SELECT title FROM library_volume") == [("Emma",)]
    assert books.draft_migrations() == []
    books.migrate("library", "1")
    assert books.execute("SELECT name FROM library_book") == [("Emma",)]


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


@pytest.mark.database("sqlite", "postgresql")
def test_rename_is_not_offered_from_text_to_foreign_key(books: SampleFeatures) -> None:
    books.metadata.clear()
    books.table(
        "library_book",
        Column("code", String(9), nullable=False, unique=True),
        Column("sequel_id", ID, ForeignKey("library_book.id")),
    )
    books.choices = Choices(may_drop=False)
    with pytest.raises(OperatorError) as raised:
        books.draft_migrations()
    assert str(raised.value) == (
        "library_book.name no longer exists in the models, and its data would be lost. If you want to drop it, add "
        "--allow-drop."
    )


def test_ambiguous_rename_option_needs_the_table(books: SampleFeatures) -> None:
    for table in ("library_page", "library_shelf"):
        books.table(table, Column("name", String(9)))
    books.migrate_models()
    for table in ("library_page", "library_shelf"):
        books.table(table, Column("label", String(9)))
    with pytest.raises(OperatorError) as raised:
        make(books, name="label")
    assert str(raised.value) == (
        "--rename name=label matches library_page.name and library_shelf.name. Add the name of the table."
    )
    make(books, **{"library_page.name": "label", "shelf.name": "label"})
    books.migrate()
    assert books.draft_migrations() == []


def test_prompt_asks_about_table_with_same_columns(books: SampleFeatures) -> None:
    declare(books, table="library_volume")
    books.choices = Choices(confirm=(no := Answers(yes=False)))
    books.draft_migrations()
    assert no.questions == ["Was the table library_book renamed to library_volume?"]


def test_prompt_ignores_column_of_another_type(books: SampleFeatures) -> None:
    books.table("library_book", Column("pages", Integer), Column("code", String(9), nullable=False, unique=True))
    books.choices = Choices(confirm=pytest.fail)
    assert books.draft_migrations()
