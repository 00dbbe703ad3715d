"""Rows that refer to others by natural key, and rows of adopted tables with other columns than new models."""

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
from opportune.contrib.dumps.load import load
from opportune.contrib.dumps.names import natural_keys
from opportune.contrib.dumps.rows import DumpedObject
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from tests.opportune.contrib.copydb.two_databases import KINDS, Databases


class Row(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Office(Row, table=True):
    __tablename__ = "test_office"

    name: str = Field(unique=True)
    head_id: int = Field(foreign_key="test_clerk.id", unique=True)


class Clerk(Row, table=True):
    __tablename__ = "test_clerk"

    name: str = Field(unique=True)
    office_id: int | None = Field(default=None, foreign_key="test_office.id")
    mentor_id: int = Field(foreign_key="test_clerk.id", ge=1)


class Visit(SQLModel, table=True):
    metadata = Row.metadata
    __tablename__ = "test_visit"

    office_id: int = Field(foreign_key="test_office.id", primary_key=True)
    clerk_id: int = Field(foreign_key="test_clerk.id", primary_key=True)
    times: int = 1


MODELS = (Office, Clerk, Visit)
TABLES = {str(model.__tablename__): Row.metadata.tables[str(model.__tablename__)] for model in MODELS}
DUMP: list[dict[str, object]] = [
    {"model": "test_visit", "pk": [["Post"], ["Bo"]], "fields": {"times": 3}},
    {"model": "test_office", "fields": {"name": "Post", "head_id": ["Ann"]}},
    {"model": "test_office", "fields": {"name": "Mint", "head_id": ["Bo"]}},
    {"model": "test_clerk", "fields": {"name": "Ann", "office_id": ["Mint"], "mentor_id": ["Ann"]}},
    {"model": "test_clerk", "fields": {"name": "Bo", "office_id": None, "mentor_id": ["Cy"]}},
    {"model": "test_clerk", "fields": {"name": "Cy", "office_id": ["Post"], "mentor_id": ["Bo"]}},
]


@pytest.fixture(params=KINDS)
def connection(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Connection]:
    with open_destination(DatabaseUrl.parse(databases.missing_url(request.param))) as connection:
        yield connection
        connection.rollback()


def load_rows(connection: Connection, rows: list[dict[str, object]]) -> int:
    Row.metadata.create_all(connection)
    objects = [DumpedObject(f"object {number}", row) for number, row in enumerate(rows, 1)]
    return load(connection, TABLES, MODELS, objects)


def test_rows_refer_to_later_rows_and_each_other(connection: Connection) -> None:
    assert [load_rows(connection, DUMP), load_rows(connection, DUMP)] == [6, 6], "the second time, all rows exist"
    stored = json.loads(b"".join(dump(connection, TABLES, keys=natural_keys(MODELS))))
    by_content = [sorted(json.dumps(row, sort_keys=True) for row in rows) for rows in (stored, DUMP)]
    assert by_content[0] == by_content[1]


def test_missing_row_is_named(connection: Connection) -> None:
    with pytest.raises(OperatorError, match=r"object 1: office_id: no row of test_\w+ with this name exists"):
        load_rows(connection, [DUMP[0], *DUMP[3:]])


class Guest(Model, table=True):
    metadata = MetaData()
    __tablename__ = "test_guest"

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


GUEST = {"class": "x", "First Name": "Ann", "_private": "y", "begun_at": datetime(2026, 1, 2, 3, 4, 5, 6)}  # noqa: DTZ001 - as in the column
TIME = datetime(2026, 1, 2, tzinfo=UTC)
STAYS: list[dict[str, Any]] = [
    {"during": Range(TIME, None, bounds="(]"), "rooms": [Range(1, 3), Range(5, None)]},
    {"during": Range(empty=True), "rooms": []},
    {"during": None, "rooms": None},
]


def load_again(connection: Connection, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    """Store rows, and load their dump under other ids. The rows must be equal."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # a table model has it
    table.create(connection)
    connection.execute(insert(table), rows)
    dumped = json.loads(b"".join(dump(connection, {"test.row": table})))
    objects = (DumpedObject(f"object {row['pk']}", row | {"pk": row["pk"] + len(rows)}) for row in dumped)
    assert load(connection, {"test.row": table}, [model], objects) == len(rows)
    stored = [row[1:] for row in connection.execute(select(table).order_by(table.c.id))]
    assert stored[: len(rows)] == stored[len(rows) :]


def test_renamed_columns_and_local_times_load_again(connection: Connection) -> None:
    load_again(connection, Guest, [GUEST | {"seen_at": TIME}])


@pytest.mark.parametrize("connection", ["postgresql"], indirect=True)
def test_ranges_load_again(connection: Connection) -> None:
    load_again(connection, Stay, STAYS)
