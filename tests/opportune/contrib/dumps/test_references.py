"""References by natural key to later rows, in cycles, and in primary keys."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, MetaData
from sqlmodel import Field, SQLModel

from opportune.contrib.copydb.connections import open_destination
from opportune.contrib.dumps.dump import dump
from opportune.contrib.dumps.load import FixtureObject, load
from opportune.contrib.dumps.names import natural_keys
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from tests.opportune.contrib.copydb.two_databases import KINDS, Databases


class Table(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Office(Table, table=True):
    __tablename__ = "test_office"

    name: str = Field(unique=True)
    head_id: int = Field(foreign_key="test_clerk.id", unique=True)


class Clerk(Table, table=True):
    __tablename__ = "test_clerk"

    name: str = Field(unique=True)
    office_id: int | None = Field(default=None, foreign_key="test_office.id")
    mentor_id: int = Field(foreign_key="test_clerk.id", ge=1)


class Visit(SQLModel, table=True):
    metadata = Table.metadata
    __tablename__ = "test_visit"

    office_id: int = Field(foreign_key="test_office.id", primary_key=True)
    clerk_id: int = Field(foreign_key="test_clerk.id", primary_key=True)
    times: int = 1


MODELS = (Office, Clerk, Visit)
TABLES = {str(model.__tablename__): Table.metadata.tables[str(model.__tablename__)] for model in MODELS}
ROWS = [
    ("test_visit", [["Post"], ["Bo"]], {"times": 3}),
    ("test_office", None, {"name": "Post", "head_id": ["Ann"]}),
    ("test_office", None, {"name": "Mint", "head_id": ["Bo"]}),
    ("test_clerk", None, {"name": "Ann", "office_id": ["Mint"], "mentor_id": ["Ann"]}),
    ("test_clerk", None, {"name": "Bo", "office_id": None, "mentor_id": ["Cy"]}),
    ("test_clerk", None, {"name": "Cy", "office_id": ["Post"], "mentor_id": ["Bo"]}),
]
DUMP: list[dict[str, object]] = [
    {"model": model, **({"pk": pk} if pk else {}), "fields": fields} for model, pk, fields in ROWS
]


@pytest.fixture(params=KINDS)
def connection(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Connection]:
    with open_destination(DatabaseUrl.parse(databases.missing_url(request.param))) as connection:
        Table.metadata.create_all(connection)
        yield connection
        connection.rollback()


def load_rows(connection: Connection, rows: list[dict[str, object]]) -> int:
    objects = [FixtureObject(f"object {number}", row) for number, row in enumerate(rows, 1)]
    return load(connection, TABLES, MODELS, objects)


def test_rows_refer_to_later_rows_and_each_other(connection: Connection) -> None:
    assert [load_rows(connection, DUMP), load_rows(connection, DUMP)] == [6, 6], "the second time, all rows exist"
    stored = json.loads(b"".join(dump(connection, TABLES, keys=natural_keys(MODELS))))
    by_content = [sorted(json.dumps(row, sort_keys=True) for row in rows) for rows in (stored, DUMP)]
    assert by_content[0] == by_content[1]


def test_later_object_replaces_a_reference(connection: Connection) -> None:
    again: dict[str, object] = {
        "model": "test_clerk",
        "fields": {"name": "Cy", "office_id": ["Post"], "mentor_id": ["Ann"]},
    }
    load_rows(connection, [*DUMP, again])
    stored = json.loads(b"".join(dump(connection, TABLES, keys=natural_keys(MODELS))))
    assert again in stored


@pytest.mark.parametrize(("index", "column"), [(0, "office_id"), (1, "head_id")])
def test_missing_row_is_named(connection: Connection, index: int, column: str) -> None:
    rows = [DUMP[index], *DUMP[3 if column == "office_id" else 4 :]]
    with pytest.raises(OperatorError, match=rf"object 1: {column}: no row of test_\w+ with this name exists"):
        load_rows(connection, rows)
