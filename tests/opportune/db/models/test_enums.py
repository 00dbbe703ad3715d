"""Enum fields: stored values, check constraints and migrations of members."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, insert, select, text
from sqlalchemy import Enum as NativeEnum
from sqlalchemy.exc import IntegrityError

from opportune.db.migrations.connection import connect
from opportune.db.migrations.questions import Choices
from opportune.db.models.model import NAMING_CONVENTION
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.copydb.two_databases import Databases
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

SPECIAL_TEXTS = {"A": "it's", "B": "50%", "C": "a:b", "D": "x\\y", "E": "(é, z)", "F": "un known", "G": "''", "H": '"'}
TEXTS = {"DRAFT": "draft", "PUBLISHED": "published"}


@pytest.fixture
def books(make_sample: MakeSample) -> SampleFeatures:
    """Two books: a draft and a published one."""
    rows = "INSERT INTO library_book (status) VALUES ('draft'), ('published')"
    return make_sample(lambda sample: declare(sample, TEXTS), rows)


def declare(
    sample: SampleFeatures, members: Mapping[str, Any], name: str = "status", table: str = "library_book"
) -> Table:
    """Declare a book whose `status` and `was` have these members."""
    enum = make_enum("Status", members)
    return sample.table(table, Column(name, NativeEnum(enum), nullable=False), Column("was", NativeEnum(enum)))


def make_enum(name: str, members: Mapping[str, Any], base: Any = Enum) -> Any:
    return base(name, members)


def make(sample: SampleFeatures, **renames: str) -> str:
    """Write the missing migration and return its text."""
    sample.choices = Choices(renames)
    (name,) = sample.make_migrations()
    sample.choices.refuse_unused()
    return (sample.versions / name).read_text(encoding="utf-8")


def read_statuses(sample: SampleFeatures) -> list[object]:
    return [status for (status,) in sample.execute("SELECT status FROM library_book ORDER BY id")]


def add_book(sample: SampleFeatures, status: str) -> None:
    sample.execute(f"INSERT INTO library_book (status) VALUES ('{status}')")  # noqa: S608 - from the tests below


def is_refused(sample: SampleFeatures, status: str) -> bool:
    try:
        add_book(sample, status)
    except (IntegrityError, OperatorError):
        return True
    return False


@pytest.mark.database("sqlite", "postgresql")
def test_only_member_values_are_stored(sample: SampleFeatures) -> None:
    enums: dict[str, dict[str, Any]] = {
        "texts": TEXTS,
        "numbers": {"LOW": -1, "HIGH": 10},
        "nasty": SPECIAL_TEXTS,
        "one": {"ONLY": "one"},
    }
    tables = {name: declare(sample, enums[name], name="order", table=f"library_{name}") for name in enums}
    sample.migrate_models()
    with connect(sample.settings) as connection, connection.begin():
        for name, table in tables.items():
            enum = table.columns["order"].type.enum  # type: ignore[attr-defined]  # EnumValue
            connection.execute(insert(table), [{"order": member} for member in enum])
            assert list(connection.scalars(select(table.c.order))) == list(enum)
            first_member_query = select(table.c.order).where(table.c.order == next(iter(enum)))
            assert list(connection.scalars(first_member_query)) == [*enum][:1]
            raw = connection.scalars(text(f'SELECT "order" FROM library_{name}'))  # noqa: S608 - from above
            assert list(raw) == list(enums[name].values())
            assert list(connection.scalars(select(table.c.was).limit(1))) == [None]
            assert_other_value_is_refused(connection, table)
    assert sample.draft_migrations() == []
    sample.migrate("library", "zero")
    assert sample.migrate() == ["upgrade library.0001_initial"]


def assert_other_value_is_refused(connection: Connection, table: Table) -> None:
    invalid_value = 7 if -1 in [member.value for member in table.c.order.type.enum] else "other"  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match=f"ck_{table.name}_order"), connection.begin_nested():
        connection.execute(insert(table).values(order=invalid_value))


@pytest.mark.database("sqlite", "postgresql")
def test_new_member_is_added_and_reverted(books: SampleFeatures) -> None:
    assert is_refused(books, "archived")
    declare(books, {**TEXTS, "ARCHIVED": "archived"})
    (draft,) = books.draft_migrations()
    assert draft.name == "0002_alter_book_status_and_more"
    assert str(draft.changes[0]) == "~ Alter constraint ck_library_book_status of library_book"
    written = make(books)
    assert "\"status IN ('draft', 'published', 'archived')\"" in written
    assert "\"status IN ('draft', 'published')\"" in written
    books.migrate()
    add_book(books, "archived")
    assert books.draft_migrations() == []
    with pytest.raises(OperatorError, match=r"failed and was undone: .*ck_library_book_status"):
        books.migrate("library", "1")
    books.execute("DELETE FROM library_book WHERE status = 'archived'")
    books.migrate("library", "1")
    assert is_refused(books, "archived")
    assert books.migrate()


def test_removing_a_used_member_needs_a_value(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft"})
    (draft,) = books.draft_migrations()
    assert [str(change) for change in draft.changes][-2:] == [
        f"~ `migrate` fails if rows of library_book have {column} 'published': see FILL in the file"
        for column in ("status", "was")
    ]
    written = make(books)
    with pytest.raises(OperatorError, match=r"library\.0002_\w+ failed and was undone: .*ck_library_book_status"):
        books.migrate()
    assert read_statuses(books) == ["draft", "published"]
    (path,) = books.versions.glob("library/0002*")
    path.write_text(written.replace("# op.execute", "op.execute").replace("= …", "= 'draft'"), encoding="utf-8")
    books.migrate()
    assert read_statuses(books) == ["draft", "draft"]
    assert books.draft_migrations() == []
    books.migrate("library", "1")


def test_renamed_member_keeps_its_rows(books: SampleFeatures) -> None:
    declare(books, {"DRAFT": "draft", "LIVE": "it's 50% live"})
    make(books, **{"status.published": "it's 50% live", "was.published": "it's 50% live"})
    books.migrate()
    assert read_statuses(books) == ["draft", "it's 50% live"]
    assert books.draft_migrations() == []
    books.migrate("library", "1")
    assert read_statuses(books) == ["draft", "published"]


def test_migration_runs_on_the_other_database(sample: SampleFeatures, databases: Databases) -> None:
    declare(sample, SPECIAL_TEXTS)
    sample.migrate_models()
    declare(sample, {**SPECIAL_TEXTS, "I": "new"})
    sample.migrate_models()
    sample.metadata.clear()
    sample.make_migrations()  # drops the table; the downgrade creates it again
    sample.migrate()
    other_sample = replace(sample, settings=settings_for(databases.missing_url("postgresql")))
    other_sample.migrate()
    for target in ("2", "1", "zero"):
        other_sample.migrate("library", target)
    assert other_sample.migrate()


@pytest.mark.parametrize("values", [(1, "one"), (":word", "x"), (True, False)])
def test_unsupported_members_are_refused(values: tuple[Any, ...]) -> None:
    enum = make_enum("Odd", {f"M{number}": value for number, value in enumerate(values)})
    with pytest.raises(TypeError, match="The members of Odd cannot be stored"):
        Table("t", MetaData(naming_convention=NAMING_CONVENTION), Column("f", NativeEnum(enum)))
