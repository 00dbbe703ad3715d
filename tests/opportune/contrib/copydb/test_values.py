"""Values that SQLite and PostgreSQL store differently, or that one of them refuses."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum as PythonEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel.sql.sqltypes import UTCDateTime

from opportune.contrib.copydb.copy import TableReport, copy
from opportune.contrib.copydb.writers import writer_for
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.models.model import NAMING_CONVENTION
from opportune.db.models.translated import TranslatedColumn, TranslatedText
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.copydb.two_databases import Databases, execute, has_tables
from tests.opportune.db.migrations.sample_features import ID, SampleFeatures

METADATA = sa.MetaData(naming_convention=NAMING_CONVENTION)


class Size(PythonEnum):
    SMALL = "s"
    LARGE = "l"


ITEMS = sa.Table(
    "shop_item",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("part_of", ID, sa.ForeignKey("shop_item.id")),
    sa.Column("shelf_id", ID, sa.ForeignKey("shop_shelf.id")),
    sa.Column("name", sa.String(8)),
    sa.Column("words", sa.Text),
    sa.Column("number", sa.Integer),
    sa.Column("large", sa.BigInteger),
    sa.Column("sold", sa.Boolean),
    sa.Column("weight", sa.Float),
    sa.Column("price", sa.Numeric(12, 2)),
    sa.Column("day", sa.Date),
    sa.Column("hour", sa.Time),
    sa.Column("at", UTCDateTime),
    sa.Column("local", sa.DateTime),
    sa.Column("lasts", sa.Interval),
    sa.Column("more", sa.JSON),
    sa.Column("title", TranslatedColumn()),
    sa.Column("picture", sa.LargeBinary),
    sa.Column("key", sa.Uuid),
    sa.Column('100% "é"', sa.Integer),
    sa.Column("size", sa.Enum(Size, native_enum=False)),
)
BEST_ITEM = sa.Column("best_id", ID, sa.ForeignKey("shop_item.id"))
SHELVES = sa.Table("shop_shelf", METADATA, sa.Column("id", ID, primary_key=True), BEST_ITEM)
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "part_of": 2,  # refers to a row that is copied later
        "shelf_id": 5,
        "name": "ü☃🎉\t\\N",
        "words": "two\nlines",
        "number": -(2**31),
        "large": 2**63 - 1,
        "sold": False,
        "weight": 0.1 + 0.2,
        "price": Decimal("1234567890.10"),
        "day": date(1, 1, 1),
        "hour": time(23, 59, 59, 999999),
        "at": datetime(2026, 11, 20, 23, 59, 59, 1, UTC),
        "local": datetime(9999, 12, 31, 23, 59, 59),  # noqa: DTZ001 - type of the column
        "lasts": timedelta(days=3, microseconds=1),
        "more": {"b": [1, None, "é"], "a": 5},
        "title": TranslatedText({"en": "Eagle", "de": "Adler"}),
        "picture": bytes(range(256)),
        "key": UUID(int=7),
        '100% "é"': 100,
        "size": Size.LARGE,
    },
    {"id": 2, "name": "", "words": "\\.", "more": 5, "picture": b"", "sold": True, "weight": -0.0, "price": Decimal(0)},
    {"id": 3},
]


def copy_of_tables() -> sa.MetaData:
    """Copy the tables: after creating a cycle on PostgreSQL, SQLAlchemy omits one of its keys the next time."""
    metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
    for table in METADATA.tables.values():
        table.to_metadata(metadata)
    return metadata


@pytest.fixture
def shop(tmp_path: Path) -> SampleFeatures:
    """Feature whose tables refer to each other."""
    sample = SampleFeatures(settings_for("sqlite:///none.db"), tmp_path / "versions", ("shop",), METADATA)
    sample.write_migration("shop", f"import {__name__} as shop; shop.copy_of_tables().create_all(op.get_bind())")
    return sample


@pytest.fixture
def items(shop: SampleFeatures, databases: Databases) -> str:
    """SQLite file with one row in each table."""
    url = databases.missing_url("sqlite")
    SampleFeatures(settings_for(url), shop.versions, shop.features).migrate()
    insert_rows(url, [{"id": 7}])
    return url


def insert_rows(url: str, rows: list[dict[str, Any]]) -> None:
    with connect(settings_for(url)) as connection, connection.begin():
        connection.execute(sa.insert(SHELVES).values(id=5))
        for row in sorted(rows, key=lambda row: "part_of" in row):
            connection.execute(sa.insert(ITEMS).values(row))
        connection.execute(sa.update(SHELVES).values(best_id=rows[0]["id"]))


def read_rows(url: str) -> list[dict[str, Any]]:
    with connect(settings_for(url)) as connection:
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in connection.execute(sa.select(ITEMS).order_by(ITEMS.c.id)).mappings()
        ]


def copy_all(source: str, target: str, graph: MigrationGraph) -> list[TableReport]:
    return copy(DatabaseUrl.parse(source), DatabaseUrl.parse(target), graph, metadata=METADATA)


@pytest.mark.filterwarnings("ignore:Dialect sqlite.pysqlite does .not. support Decimal")
def test_all_types_are_copied_to_postgresql_and_back(shop: SampleFeatures, databases: Databases) -> None:
    start, server, back, other = (databases.missing_url(kind) for kind in ("sqlite", "postgresql", "sqlite", "sqlite"))
    SampleFeatures(settings_for(start), shop.versions, shop.features).migrate()
    insert_rows(start, ROWS)
    reports = copy_all(start, server, shop.graph)
    assert read_rows(server) == ROWS
    assert copy_all(server, back, shop.graph) == reports
    assert read_rows(back) == ROWS
    formats = ("datestyle=SQL,DMY", "intervalstyle=iso_8601", "extra_float_digits=-5", "bytea_output=escape")
    copy_all(f"{server}?options={quote(' '.join(f'-c {setting}' for setting in formats))}", other, shop.graph)
    assert read_rows(other) == ROWS
    with connect(settings_for(server)) as connection, pytest.raises(Exception, match="violates foreign key"):
        connection.execute(sa.insert(ITEMS).values(id=9, part_of=99))  # no longer deferred


def test_json_null_and_exact_numbers_are_kept(shop: SampleFeatures, items: str, databases: Databases) -> None:
    more = '{"b": -0.0, "a": [1e2, 12345678901234567890.125, true]}'
    execute(items, "INSERT INTO shop_item (id, more) VALUES (8, 'null'), (9, :more)", more=more)
    server, back = databases.missing_url("postgresql"), databases.missing_url("sqlite")
    copy_all(items, server, shop.graph)
    copy_all(server, back, shop.graph)
    for url in (server, back):
        values = execute(url, "SELECT id, CAST(more AS TEXT) FROM shop_item ORDER BY id")
        assert values == [(7, None), (8, "null"), (9, more)]


REFUSED_VALUES = [
    ("shop_item", "name", "'a' || char(0)", "shop_item.name, row 7: PostgreSQL text fields cannot contain NUL"),
    ("shop_item", "name", "'123456789'", "shop_item.name, row 7: value too long for type character varying(8)"),
    ("shop_item", "name", "CAST(x'61ff' AS TEXT)", "shop_item.name, row 7: bytes instead of VARCHAR(8)"),
    ("shop_item", "day", "'soon'", "shop_item.day, row 7: str instead of DATE"),
    ("shop_item", "number", "3000000000", 'shop_item.number, row 7: value "3000000000" is out of range'),
    ("shop_item", "shelf_id", "99", 'shop_item: Key (shelf_id)=(99) is not present in table "shop_shelf"'),
    # This table needs no conversions.
    ("shop_shelf", "best_id", "'seven'", "shop_shelf.best_id, row 5: str instead of BIGINT"),
]


def test_value_refused_by_postgresql_is_named(shop: SampleFeatures, items: str, databases: Databases) -> None:
    execute(items, "PRAGMA foreign_keys = OFF")
    target = databases.missing_url("postgresql")
    for table, column, value, line in REFUSED_VALUES:
        execute(items, f"UPDATE {table} SET {column} = {value}")  # noqa: S608 - constants above
        with pytest.raises(OperatorError) as raised:
            copy_all(items, target, shop.graph)
        assert str(raised.value).startswith(line)
        assert str(raised.value).endswith("Nothing was written.")
        assert not has_tables(target)
        execute(items, f"UPDATE {table} SET {column} = NULL")  # noqa: S608 - as above


def test_value_not_stored_by_sqlite_is_refused(shop: SampleFeatures, databases: Databases) -> None:
    source, target = databases.missing_url("postgresql"), databases.missing_url("sqlite")
    SampleFeatures(settings_for(source), shop.versions, shop.features).migrate()
    insert_rows(source, [{"id": 1, "weight": float("nan")}])
    with pytest.raises(OperatorError, match=r"shop_item would differ: .* sqlite cannot store all of its values"):
        copy_all(source, target, shop.graph)
    assert not has_tables(target)


def test_broken_foreign_key_is_refused_by_sqlite(shop: SampleFeatures, items: str, databases: Databases) -> None:
    execute(items, "UPDATE shop_item SET shelf_id = 99")
    target = databases.missing_url("sqlite")
    with pytest.raises(OperatorError, match=r"shop_item, row 7 refers to a missing row of shop_shelf"):
        copy_all(items, target, shop.graph)
    assert not has_tables(target)


def test_row_refused_by_sqlite_is_named() -> None:
    name = sa.Column("name", sa.Text, nullable=False)
    item = sa.Table("item", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), name)
    with sa.create_engine("sqlite://").connect() as connection:
        item.create(connection)
        # As the triggers of a search index, it changes further rows.
        connection.exec_driver_sql("CREATE TRIGGER i AFTER INSERT ON item BEGIN UPDATE item SET name = name; END")
        with pytest.raises(OperatorError, match=r"item, row 3: NOT NULL"):
            writer_for(connection).write(item, [[(1, "a"), (2, "b"), (3, None), (4, "d")]])
