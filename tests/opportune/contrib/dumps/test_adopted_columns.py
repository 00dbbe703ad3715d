"""Rows of adopted tables, whose columns have other names and types than those of new models."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, Connection, DateTime, MetaData, String, Table, insert, select
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE, TSTZRANGE, Range
from sqlmodel import Field, SQLModel

from opportune.contrib.copydb.connections import open_destination
from opportune.contrib.dumps.dump import dump
from opportune.contrib.dumps.load import FixtureObject, load
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from tests.opportune.contrib.copydb.two_databases import KINDS, Databases


class Visit(Model, table=True):
    metadata = MetaData()
    __tablename__ = "test_visit"

    class_: str | None = Field(default="a", sa_column=Column("class", String))
    first_name: str = Field(sa_column=Column("First Name", String, nullable=False))
    private: str = Field(sa_column=Column("_private", String))
    begun_at: datetime = Field(sa_column=Column("begun_at", DateTime, nullable=False))
    seen_at: datetime


class Stay(Model, table=True):
    metadata = MetaData()
    __tablename__ = "test_stay"

    during: Any = Field(sa_column=Column("during", TSTZRANGE))
    rooms: Any = Field(sa_column=Column("rooms", INT4MULTIRANGE))


VISIT = {"class": "x", "First Name": "Ann", "_private": "y", "begun_at": datetime(2026, 1, 2, 3, 4, 5, 6)}  # noqa: DTZ001 - as in the column
TIME = datetime(2026, 1, 2, tzinfo=UTC)
STAYS: list[dict[str, Any]] = [
    {"during": Range(TIME, None, bounds="(]"), "rooms": [Range(1, 3), Range(5, None)]},
    {"during": Range(empty=True), "rooms": []},
    {"during": None, "rooms": None},
]


@pytest.fixture
def connection(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Connection]:
    with open_destination(DatabaseUrl.parse(databases.missing_url(request.param))) as connection:
        yield connection
        connection.rollback()


def load_again(connection: Connection, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    """Store rows, and load their dump under other ids. The rows must be equal."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # a table model has it
    table.create(connection)
    connection.execute(insert(table), rows)
    dumped = json.loads(b"".join(dump(connection, {"test.row": table})))
    objects = (FixtureObject(f"object {row['pk']}", row | {"pk": row["pk"] + len(rows)}) for row in dumped)
    assert load(connection, {"test.row": table}, [model], objects) == len(rows)
    stored = [row[1:] for row in connection.execute(select(table).order_by(table.c.id))]
    assert stored[: len(rows)] == stored[len(rows) :]


@pytest.mark.parametrize("connection", KINDS, indirect=True)
def test_renamed_columns_and_local_times_load_again(connection: Connection) -> None:
    load_again(connection, Visit, [VISIT | {"seen_at": TIME}])


@pytest.mark.parametrize("connection", ["postgresql"], indirect=True)
def test_ranges_load_again(connection: Connection) -> None:
    load_again(connection, Stay, STAYS)
