"""Fields of an Enum: their values are stored, others kept out, and their members come, go and get other names."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, Flag
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy import Enum as NamesOfMembers
from sqlalchemy.exc import IntegrityError

from opportune.db.migrations.connection import connect
from opportune.db.migrations.questions import Choices
from opportune.db.models.model import NAMING_CONVENTION
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.admin.gadget_feature import Gadget
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures
from tests.opportune.ops.copydb.two_databases import Databases, databases

__all__ = ["databases"]  # a fixture

NASTY = {"A": "it's", "B": "50%", "C": "a:b", "D": "x\\y", "E": "(é, z)", "F": "un known", "G": "''", "H": '"'}
TEXTS = {"DRAFT": "draft", "PUBLISHED": "published"}
NUMBERS = {"LOW": -1, "HIGH": 10}


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """Two books, a draft and one that is published."""
    return make_sample(declare_texts, "INSERT INTO library_book (status) VALUES ('draft'), ('published')")


def declare_texts(sample: SampleFeatures) -> None:
    declare(sample, TEXTS)


def declare(
    sample: SampleFeatures, members: Mapping[str, Any], name: str = "status", table: str = "library_book"
) -> Table:
    """A book whose status has these members, and may have had another before."""
    kind = made("Status", members)
    return sample.table(table, Column(name, NamesOfMembers(kind), nullable=False), Column("was", NamesOfMembers(kind)))


def made(name: str, members: Mapping[str, Any], base: Any = Enum) -> Any:
    return base(name, members)


def make(sample: SampleFeatures, **renames: str) -> str:
    """The text of the migration that is missing."""
    sample.choices = Choices(renames)
    (name,) = sample.make()
    sample.choices.refuse_unused()
    return (sample.versions / name).read_text(encoding="utf-8")


def statuses(sample: SampleFeatures) -> list[object]:
    return [status for (status,) in sample.execute("SELECT status FROM library_book ORDER BY id")]


def add(sample: SampleFeatures, status: str) -> None:
    sample.execute(f"INSERT INTO library_book (status) VALUES ('{status}')")  # noqa: S608 - from the tests below


def refuses(sample: SampleFeatures, status: str) -> bool:
    try:
        add(sample, status)
    except (IntegrityError, OperatorError):
        return True
    return False


def test_a_field_of_a_model_needs_nothing_but_its_type() -> None:
    table: Any = inspect(Gadget).local_table
    checks = {str(check.name) for check in table.constraints if type(check).__name__ == "CheckConstraint"}
    assert checks == {"ck_test_gadget_colour", "ck_test_gadget_lucky"}


def test_the_values_of_members_are_stored_and_nothing_else(sample: SampleFeatures) -> None:
    kinds: dict[str, dict[str, Any]] = {"texts": TEXTS, "numbers": NUMBERS, "nasty": NASTY, "one": {"ONLY": "one"}}
    tables = {name: declare(sample, kinds[name], name="order", table=f"library_{name}") for name in kinds}
    sample.make()
    sample.migrate()
    with connect(sample.settings) as connection, connection.begin():
        for name, table in tables.items():
            kind = table.columns["order"].type.kind  # type: ignore[attr-defined]  # EnumValue's
            connection.execute(insert(table), [{"order": member} for member in kind])
            assert list(connection.scalars(select(table.c.order))) == list(kind)
            first = select(table.c.order).where(table.c.order == next(iter(kind)))
            assert list(connection.scalars(first)) == [*kind][:1]
            raw = connection.scalars(text(f'SELECT "order" FROM library_{name}'))  # noqa: S608 - from above
            assert list(raw) == list(kinds[name].values())
            assert list(connection.scalars(select(table.c.was).limit(1))) == [None]
            refuse(connection, table)
    assert sample.drafts() == []
    sample.migrate("library", "zero")
    assert sample.migrate() == ["upgrade library.0001_initial"]


def refuse(connection: Connection, table: Table) -> None:
    other = 7 if -1 in [member.value for member in table.c.order.type.kind] else "other"  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match=f"ck_{table.name}_order"), connection.begin_nested():
        connection.execute(insert(table).values(order=other))


@pytest.fixture
def sample(empty_database_url: str, cached_engines: None, tmp_path: Path) -> SampleFeatures:
    return SampleFeatures(settings_for(empty_database_url), tmp_path / "versions")


@pytest.mark.database("sqlite")
def test_enums_of_one_name_in_two_features_are_two(sample: SampleFeatures) -> None:
    declare(sample, TEXTS)
    declare(sample, NASTY, table="shop_offer")
    sample.make()
    sample.migrate()
    sample.migrate("library", "zero")
    sample.migrate()
    assert sample.drafts() == []


def test_a_new_member_is_let_in_and_out_again(books: SampleFeatures) -> None:
    assert refuses(books, "archived")
    declare(books, {**TEXTS, "ARCHIVED": "archived"})
    (draft,) = books.drafts()
    assert draft.name == "0002_alter_book_status_and_more"
    assert str(draft.changes[0]) == "~ Alter constraint ck_library_book_status of library_book"
    written = make(books)
    assert "\"status IN ('draft', 'published', 'archived')\"" in written
    assert "\"status IN ('draft', 'published')\"" in written, "it goes back on either kind of database"
    books.migrate()
    add(books, "archived")
    assert books.drafts() == []
    with pytest.raises(OperatorError, match=r"failed and was undone: .*ck_library_book_status"):
        books.migrate("library", "1")
    books.execute("DELETE FROM library_book WHERE status = 'archived'")
    books.migrate("library", "1")
    assert refuses(books, "archived")
    assert books.migrate()


@pytest.mark.database("sqlite")
def test_a_member_that_rows_have_goes_only_when_it_is_said_what_they_get(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft"})
    (draft,) = books.drafts()
    assert [str(change) for change in draft.changes][-2:] == [
        f"~ `migrate` fails if rows of library_book have {column} 'published': see FILL in the file"
        for column in ("status", "was")
    ]
    written = make(books)
    with pytest.raises(OperatorError, match=r"library\.0002_\w+ failed and was undone: .*ck_library_book_status"):
        books.migrate()
    assert statuses(books) == ["draft", "published"]
    (path,) = books.versions.glob("library/0002*")
    path.write_text(written.replace("# op.execute", "op.execute").replace("= …", "= 'draft'"), encoding="utf-8")
    books.migrate()
    assert statuses(books) == ["draft", "draft"]
    assert books.drafts() == []
    books.migrate("library", "1")


@pytest.mark.database("sqlite")
def test_rows_may_get_another_member_in_place_of_one_that_goes(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft"})
    make(books, **{"book.status.published": "draft", "book.was.published": "draft"})
    books.migrate()
    assert statuses(books) == ["draft", "draft"]
    books.migrate("library", "1")
    assert statuses(books) == ["draft", "draft"], "what they had nobody knows any more"


@pytest.mark.database("sqlite")
def test_a_renamed_member_keeps_its_rows_there_and_back(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft", "LIVE": "it's 50% live"})
    make(books, **{"status.published": "it's 50% live", "was.published": "it's 50% live"})
    books.migrate()
    assert statuses(books) == ["draft", "it's 50% live"]
    assert books.drafts() == []
    books.migrate("library", "1")
    assert statuses(books) == ["draft", "published"]


@pytest.mark.database("postgresql")  # whose constraints keep their names
def test_table_column_and_member_may_be_renamed_at_once(books: SampleFeatures) -> None:
    books.metadata.clear()
    declare(books, {"DRAFT": "draft", "LIVE": "live"}, name="state", table="library_volume")
    make(
        books,
        **{"book": "volume", "volume.status": "state", "state.published": "live", "was.published": "live"},
    )
    books.migrate()
    assert books.execute("SELECT state FROM library_volume ORDER BY id") == [("draft",), ("live",)]
    assert books.drafts() == []
    books.migrate("library", "1")
    assert statuses(books) == ["draft", "published"]


@pytest.mark.database("sqlite")
def test_somebody_is_asked_whether_a_member_was_renamed(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft", "LIVE": "live"})
    asked: list[str] = []

    def answer(question: str) -> bool:
        asked.append(question)
        return "status" in question

    books.choices = Choices(confirm=answer)
    books.make()
    assert asked == [
        "Was 'published' of book.status renamed to 'live'?",
        "Was 'published' of book.was renamed to 'live'?",
    ]
    books.migrate()
    assert statuses(books) == ["draft", "live"]


@pytest.mark.database("postgresql")  # which has types of its own, and says a list of values in other words
def test_the_order_of_members_is_nobodys_business_and_the_database_has_no_type_of_them(books: SampleFeatures) -> None:
    declare(books, dict(reversed(TEXTS.items())))
    assert books.drafts() == []
    with connect(books.settings) as connection:
        assert inspect(connection).get_enums() == []  # type: ignore[attr-defined]  # PostgreSQL's inspector


@pytest.mark.database("sqlite")
def test_a_column_becomes_one_of_an_enum_and_a_plain_one_again(books: SampleFeatures) -> None:
    books.table("library_book", Column("status", String(64), nullable=False), Column("was", String(64)))
    assert "batch_op.drop_constraint(" in make(books)
    books.migrate()
    add(books, "else")
    books.execute("DELETE FROM library_book WHERE status = 'else'")
    declare(books, TEXTS)
    make(books)
    books.migrate()
    assert refuses(books, "else")
    assert books.drafts() == []
    books.migrate("library", "1")
    assert refuses(books, "else")


def test_a_column_that_holds_the_names_of_members_gets_their_values(sample: SampleFeatures) -> None:
    kind = made("Status", TEXTS)
    sample.metadata = MetaData()  # without what makes them values
    sample.table("library_book", Column("status", NamesOfMembers(kind), nullable=False))
    sample.make()
    sample.migrate()
    sample.execute("INSERT INTO library_book (status) VALUES ('DRAFT'), ('PUBLISHED')")
    sample.metadata = MetaData(naming_convention=NAMING_CONVENTION)
    sample.table("library_book", Column("status", NamesOfMembers(kind), nullable=False))
    make(sample)
    sample.migrate()
    assert statuses(sample) == ["draft", "published"]
    assert refuses(sample, "DRAFT")
    assert sample.drafts() == []


@pytest.mark.database("sqlite")
def test_a_new_field_of_an_enum_comes_with_its_default(books: SampleFeatures) -> None:
    kind = made("Mood", {"GOOD": "good", "BAD": "it's bad"})
    others = [column._copy() for column in declare(books, TEXTS).columns if column.name != "id"]
    books.table("library_book", *others, Column("mood", NamesOfMembers(kind), nullable=False, default=kind.BAD))
    make(books)
    books.migrate()
    assert books.execute("SELECT mood FROM library_book") == [("it's bad",), ("it's bad",)]
    assert books.drafts() == []
    books.migrate("library", "1")
    assert statuses(books) == ["draft", "published"]


def test_a_migration_that_one_kind_of_database_has_suggested_runs_on_the_other(
    sample: SampleFeatures, databases: Databases, database_kind: str
) -> None:
    declare(sample, NASTY)
    sample.make()
    sample.migrate()
    for members in ({**NASTY, "I": "new"}, NUMBERS):
        declare(sample, members)
        sample.make() if members is not NUMBERS else sample.metadata.clear()
        sample.migrate()
    sample.make()  # drops the table, and makes it again on the way back
    sample.migrate()
    other = "sqlite" if database_kind == "postgresql" else "postgresql"
    there = replace(sample, settings=settings_for(databases.missing(other)))
    there.migrate()
    for target in ("2", "1", "zero"):
        there.migrate("library", target)
    assert there.migrate()


def test_flags_combine_and_have_no_list_of_values() -> None:
    table = Table(
        "t",
        MetaData(naming_convention=NAMING_CONVENTION),
        Column("f", NamesOfMembers(made("F", {"A": 1, "B": 2}, Flag))),
    )
    assert not [check for check in table.constraints if type(check).__name__ == "CheckConstraint"]


@pytest.mark.parametrize("values", [(1, "one"), (1.5, 2.5), (None, "x"), (":word", "x"), (True, False)])
def test_members_that_cannot_be_stored_are_one_line(values: tuple[Any, ...]) -> None:
    kind = made("Odd", {f"M{number}": value for number, value in enumerate(values)})
    with pytest.raises(TypeError, match="The members of Odd cannot be stored"):
        Table("t", MetaData(naming_convention=NAMING_CONVENTION), Column("f", NamesOfMembers(kind)))
