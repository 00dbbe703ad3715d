"""Conditions of partial indexes in SQL and in copied tables."""

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex

from opportune.db import PartialIndex

LOANS = Table(
    "library_loan",
    MetaData(),
    Column("copy_id", Integer),
    Column("returned_at", Text),
    PartialIndex("uq_running", "copy_id", where="returned_at IS NULL", unique=True),
)


@pytest.mark.parametrize("dialect", [sqlite.dialect, postgresql.dialect])
def test_partial_index_has_its_condition(dialect: type[Dialect]) -> None:
    (index,) = LOANS.indexes
    sql = str(CreateIndex(index).compile(dialect=dialect()))
    assert sql == "CREATE UNIQUE INDEX uq_running ON library_loan (copy_id) WHERE returned_at IS NULL"


def test_copied_table_keeps_the_partial_index() -> None:
    (index,) = LOANS.to_metadata(MetaData()).indexes
    assert str(index.dialect_kwargs["sqlite_where"]) == str(index.dialect_kwargs["postgresql_where"])
    assert str(index.dialect_kwargs["sqlite_where"]) == "returned_at IS NULL"
