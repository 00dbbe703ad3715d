"""Migrations that make columns unique where rows have duplicates."""

from typing import Any

import pytest
from sqlalchemy import Column, Index, Integer, String, UniqueConstraint, func
from sqlalchemy.sql.schema import SchemaItem

from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

pytestmark = pytest.mark.database("sqlite", "postgresql")

EMMA_AND_MORE = """
    INSERT INTO library_book (title, number, token)
    VALUES ('Emma', 1, 'x-1'), ('Emma', 1, 'x-1'), ('Emma', 2, 'x-2'), ('emma', 3, 'x-3'), ('Ivanhoe', 4, 'x-4'),
           ('Ivanhoe', 5, 'x-5'), (NULL, 6, 'x-6'), (NULL, 7, 'x-7')
"""
SEVEN_TWICE = "INSERT INTO library_book (title) VALUES " + ", ".join(f"('{name}'), ('{name}')" for name in "abcdefg")  # noqa: S608 - letters


def declare(sample: SampleFeatures, *rules: SchemaItem) -> None:
    columns = Column("title", String(80)), Column("number", Integer), Column("token", String(80))
    sample.table("library_book", *columns, *rules)


def read_failure(make_sample: MakeSample, rows: str, *rules: SchemaItem) -> str:
    """Return the message of a migration that adds unique rules to a table with rows."""
    sample = make_sample(declare, rows)
    before = sample.execute("SELECT * FROM library_book ORDER BY id")
    declare(sample, *rules)
    sample.make_migrations()
    with pytest.raises(OperatorError) as caught:
        sample.migrate()
    assert sample.execute("SELECT * FROM library_book ORDER BY id") == before
    assert len(sample.graph.pending(sample.read_revisions())) == 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unique_constraint_names_duplicate_values(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, EMMA_AND_MORE, UniqueConstraint("title"))
    assert "undone: library_book.title must be unique, but has duplicates: 'Emma' (3 rows), 'Ivanhoe' (2 " in message


def test_unique_index_names_duplicate_values(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, EMMA_AND_MORE, Index("uq_title", "title", unique=True))
    assert "library_book.title must be unique, but has duplicates: 'Emma' (3 rows), 'Ivanhoe' (2 rows). " in message


def test_unique_constraint_on_two_columns_names_both_values(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, EMMA_AND_MORE, UniqueConstraint("title", "number"))
    assert "library_book (title, number) must be unique, but has duplicates: 'Emma' with '1' (2 rows). " in message


def test_unique_index_on_expression_names_duplicate_values(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, EMMA_AND_MORE, Index("uq_lower", func.lower(Column("title")), unique=True))
    assert "lower(title) must be unique, but has duplicates: 'emma' (4 rows), 'ivanhoe' (2 rows)" in message


def test_duplicate_values_of_secret_columns_are_hidden(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, EMMA_AND_MORE, UniqueConstraint("token"))
    assert "library_book.token must be unique, but has duplicates: a value (2 rows). " in message
    assert "x-1" not in message


def test_at_most_five_duplicate_values_are_shown(make_sample: MakeSample) -> None:
    message = read_failure(make_sample, SEVEN_TWICE, UniqueConstraint("title"))
    assert "'d' (2 rows), 'e' (2 rows) and more. Change or delete these rows" in message


def test_partial_unique_index_ignores_rows_outside(make_sample: MakeSample) -> None:
    sample = make_sample(declare, EMMA_AND_MORE)
    condition = Column("number") > 3
    where: dict[str, Any] = {"postgresql_where": condition, "sqlite_where": condition}
    declare(sample, Index("uq_late_number", "number", unique=True, **where))
    sample.make_migrations()
    sample.migrate()
    assert not sample.graph.pending(sample.read_revisions())
