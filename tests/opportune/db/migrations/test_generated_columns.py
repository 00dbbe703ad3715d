"""Changes of generated columns, identities and server defaults."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Computed, Identity, Integer, Numeric, String, false, func, text, true

from opportune.errors import OperatorError
from tests.opportune.db.migrations.sample_features import SampleFeatures


def declare(sample: SampleFeatures, column: Column[Any], title_length: int = 50) -> None:
    sample.table("library_book", Column("a", Integer), Column("title", String(title_length)), column)


def computed(expression: str) -> Column[int]:
    return Column("b", Integer, Computed(expression, persisted=True))


def refuse(sample: SampleFeatures, old: Column[int], new: Column[int]) -> None:
    declare(sample, old)
    sample.migrate_models()
    declare(sample, new)
    with pytest.raises(OperatorError, match=r"does not write the change of library_book\.b, .* cannot be altered"):
        sample.make_migrations()


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (lambda: computed("a + 1"), lambda: computed("a + 2")),
        (lambda: computed("a + 1"), lambda: Column("b", Integer)),
        (lambda: Column("b", Integer, server_default="7"), lambda: computed("a + 1")),
    ],
)
def test_change_of_generated_column_is_refused(
    sample: SampleFeatures, old: Callable[[], Column[int]], new: Callable[[], Column[int]]
) -> None:
    refuse(sample, old(), new())


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(
    ("type_", "expression"), [(String, "title || 'X'"), (Numeric, "a * 1.5"), (Integer, "(a + 1) * 2")]
)
def test_unchanged_generated_column_is_accepted(sample: SampleFeatures, type_: type[Any], expression: str) -> None:
    declare(sample, Column("b", type_, Computed(expression, persisted=True)))
    sample.migrate_models()
    assert sample.draft_migrations() == []


def test_change_of_parentheses_is_refused(sample: SampleFeatures) -> None:
    refuse(sample, computed("(a + 1) * 2"), computed("a + 1 * 2"))


@pytest.mark.database("sqlite", "postgresql")
def test_copied_table_computes_its_columns(sample: SampleFeatures) -> None:
    declare(sample, computed("a + 1"))
    sample.migrate_models()
    sample.execute("INSERT INTO library_book (a) VALUES (3)")
    declare(sample, computed("a + 1"), title_length=80)
    assert sample.make_migrations() == ["library/0002_alter_book_title.py"]
    sample.migrate()
    assert sample.execute("SELECT b FROM library_book") == [(4,)]
    assert sample.draft_migrations() == []


@pytest.mark.database("sqlite", "postgresql")
def test_defaults_are_stable_and_changed(sample: SampleFeatures) -> None:
    for value in (true(), false()):
        sample.table(
            "library_book",
            Column("is_new", Boolean, server_default=value),
            Column("title", String(50), server_default=func.lower("A")),
            Column("code", String(50), server_default=text("('c' || CAST(random() AS VARCHAR(9)))")),
            Column("rate", String(50), server_default="100%"),
            Column("facts", JSON, server_default="{}"),
            Column("number", Integer, Identity(), nullable=False),
        )
        assert len(sample.make_migrations()) == 1
        sample.migrate()
        assert sample.draft_migrations() == []
