"""Migrations that make columns unique where rows have duplicates."""

from collections.abc import Callable

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


def declare(sample: SampleFeatures, *rules: SchemaItem) -> None:
    columns = Column("title", String(80)), Column("number", Integer), Column("token", String(80))
    sample.table("library_book", *columns, *rules)


EMMA_AND_IVANHOE = "library_book.title must be unique, but has duplicates: 'Emma' (3 rows), 'Ivanhoe' (2 rows). "


@pytest.mark.parametrize(
    ("make_rule", "message"),
    [
        (lambda: UniqueConstraint("title"), f"undone: {EMMA_AND_IVANHOE}"),
        (lambda: Index("uq_title", "title", unique=True), EMMA_AND_IVANHOE),
        (
            lambda: UniqueConstraint("title", "number"),
            "library_book (title, number) must be unique, but has duplicates: 'Emma' with '1' (2 rows). ",
        ),
        (
            lambda: Index("uq_lower", func.lower(Column("title")), unique=True),
            "lower(title) must be unique, but has duplicates: 'emma' (4 rows), 'ivanhoe' (2 rows)",
        ),
        (lambda: UniqueConstraint("token"), "library_book.token must be unique, but has duplicates: a value (2 rows)"),
    ],
    ids=["constraint", "index", "two columns", "expression", "secret values"],
)
def test_failure_names_duplicates(make_sample: MakeSample, make_rule: Callable[[], SchemaItem], message: str) -> None:
    sample = make_sample(declare, EMMA_AND_MORE)
    declare(sample, make_rule())
    sample.make_migrations()
    before = sample.execute("SELECT * FROM library_book ORDER BY id")
    with pytest.raises(OperatorError) as caught:
        sample.migrate()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sample.execute("SELECT * FROM library_book ORDER BY id") == before
    assert len(sample.find_pending()) == 1
