"""Changes of column types and translations: values are converted without loss, or the rows are named."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, BigInteger, Boolean, Column, Date, DateTime, Float, Integer, Numeric, String, Uuid, select
from sqlalchemy.types import TypeEngine

from opportune.config.settings import using_settings
from opportune.db.migrations.connection import connect
from opportune.db.migrations.value_conversion import convert
from opportune.db.models.translated import TranslatedColumn, TranslatedText
from opportune.errors import OperatorError
from tests.opportune.db.conftest import MakeSample
from tests.opportune.db.migrations.sample_features import SampleFeatures

DAY = date(2026, 12, 2)
MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)
MOMENT = datetime(2026, 12, 2, 16, 30, 0, 500000, tzinfo=UTC)
KEY = UUID("12345678-1234-5678-1234-567812345678")
TYPES: dict[str, TypeEngine[Any]] = {
    "text": String(80),
    "integer": Integer(),
    "decimal": Numeric(10, 2),
    "float": Float(),
    "boolean": Boolean(),
    "date": Date(),
    "datetime": DateTime(timezone=True),
    "json": JSON(),
    "uuid": Uuid(),
}
VALUES: dict[tuple[str, str], tuple[Any, Any]] = {
    ("text", "integer"): ("12", 12),
    ("text", "decimal"): ("12.5", Decimal("12.50")),
    ("text", "float"): ("12.5", 12.5),
    ("text", "boolean"): ("true", True),
    ("text", "date"): ("2026-12-02", DAY),
    ("text", "datetime"): ("2026-12-02 17:30:00.5+01", MOMENT),
    ("text", "json"): ('{"a": [1]}', {"a": [1]}),
    ("text", "uuid"): (str(KEY), KEY),
    ("integer", "text"): (12, "12"),
    ("integer", "decimal"): (12, Decimal(12)),
    ("integer", "float"): (12, 12.0),
    ("integer", "boolean"): (1, True),
    ("integer", "json"): (12, 12),
    ("decimal", "text"): (Decimal("12.5"), "12.50"),
    ("decimal", "integer"): (Decimal(12), 12),
    ("decimal", "float"): (Decimal("12.5"), 12.5),
    ("decimal", "boolean"): (Decimal(1), True),
    ("decimal", "json"): (Decimal("12.5"), 12.5),
    ("float", "text"): (12.0, "12"),
    ("float", "integer"): (12.0, 12),
    ("float", "decimal"): (12.25, Decimal("12.25")),
    ("float", "boolean"): (1.0, True),
    ("float", "json"): (12.5, 12.5),
    ("boolean", "text"): (True, "true"),
    ("boolean", "integer"): (True, 1),
    ("boolean", "decimal"): (True, Decimal(1)),
    ("boolean", "float"): (True, 1.0),
    ("boolean", "json"): (True, True),
    ("date", "text"): (DAY, "2026-12-02"),
    ("date", "datetime"): (DAY, MIDNIGHT),
    ("date", "json"): (DAY, "2026-12-02"),
    ("datetime", "text"): (MOMENT, "2026-12-02 16:30:00.5+00"),
    ("datetime", "date"): (MIDNIGHT, DAY),
    ("datetime", "json"): (MIDNIGHT, "2026-12-02T00:00:00+00:00"),
    ("json", "text"): ({"a": [1]}, '{"a": [1]}'),
    ("json", "integer"): (12, 12),
    ("json", "decimal"): (12.5, Decimal("12.50")),
    ("json", "float"): (12.5, 12.5),
    ("json", "boolean"): (True, True),
    ("json", "date"): ("2026-12-02", DAY),
    ("json", "datetime"): ("2026-12-02T16:30:00.5Z", MOMENT),
    ("json", "uuid"): (str(KEY), KEY),
    ("uuid", "text"): (KEY, str(KEY)),
    ("uuid", "json"): (KEY, str(KEY)),
}
"""Values before and after each change. Other pairs of types convert only NULL."""
TABLES = {old: [new for new in TYPES if new != old] for old in TYPES}
"""A table per old type with a column per new type, because SQLite copies the table for each change."""


def declare_old(sample: SampleFeatures) -> None:
    """Declare the columns with their old types."""
    for old, columns in TABLES.items():
        sample.table(f"library_{old}", *(Column(new, TYPES[old]) for new in columns))


@pytest.fixture
def changed(make_sample: MakeSample) -> SampleFeatures:
    """A value per pair of types, and a migration that changes all columns."""
    sample = make_sample(declare_old)
    with connect(sample.settings) as connection, connection.begin():
        for table in TABLES:
            values = {new: value for (old, new), (value, _) in VALUES.items() if old == table}
            connection.execute(sample.metadata.tables[f"library_{table}"].insert().values(values))
    for table, columns in TABLES.items():
        sample.table(f"library_{table}", *(Column(new, TYPES[new]) for new in columns))
    sample.make_migrations()
    return sample


def read(sample: SampleFeatures) -> dict[tuple[str, str], Any]:
    with connect(sample.settings) as connection:
        queries = {old: select(sample.metadata.tables[f"library_{old}"]) for old in TABLES}
        rows = {old: connection.execute(query).mappings().one() for old, query in queries.items()}
    values = {(old, new): rows[old][new] for old, columns in TABLES.items() for new in columns}
    return {pair: with_zone(value) for pair, value in values.items() if value is not None}


def with_zone(value: Any) -> Any:
    """Add UTC, because SQLite returns datetimes without a time zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and not value.tzinfo else value


@pytest.mark.database("sqlite", "postgresql")
def test_all_pairs_convert_and_convert_back(changed: SampleFeatures) -> None:
    changed.migrate()
    assert read(changed) == {pair: new for pair, (_, new) in VALUES.items()}
    assert changed.draft_migrations() == []
    changed.migrate("library", "1")
    declare_old(changed)
    rewritten: dict[tuple[str, str], Any] = {("text", "decimal"): "12.50"}
    rewritten["text", "datetime"] = "2026-12-02 16:30:00.5+00"
    converted_back = read(changed)
    converted_back["json", "datetime"] = datetime.fromisoformat(converted_back["json", "datetime"])
    rewritten["json", "datetime"] = MOMENT
    assert converted_back == {pair: old for pair, (old, _) in VALUES.items()} | rewritten


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("abc", Integer()),
        (Decimal("1.5"), Integer()),
        (1.5, Integer()),
        (2**31, Integer()),
        (1.125, Numeric(6, 2)),
        ("abc", Float()),
        (Decimal("0.12345678901234567890"), Float()),
        ("1.234", Numeric(10, 2)),
        (10**8, Numeric(10, 2)),
        (Decimal("0.1234567890123456789012345678901"), Numeric(40, 28)),
        ("maybe", Boolean()),
        ("02.12.2026", Date()),
        (MOMENT, Date()),
        ("2026-12-02T10:00:00.1234567", DateTime()),
        (Decimal("0.12345678901234567890"), JSON()),
        ("not a UUID", Uuid()),
        ("longer", String(5)),
    ],
)
def test_lossy_conversion_is_refused(value: Any, type_: TypeEngine[Any]) -> None:
    with pytest.raises((ValueError, TypeError, ArithmeticError)):
        convert(value, type_)


@pytest.fixture
def pages(make_sample: MakeSample) -> SampleFeatures:
    """Three books, two with invalid page numbers, and a migration to integers."""
    rows = "INSERT INTO library_book (pages) VALUES ('12'), ('abc'), ('x y')"
    sample = make_sample(lambda sample: sample.table("library_book", Column("pages", String(20))), rows)
    sample.table("library_book", Column("pages", Integer))
    sample.make_migrations()
    return sample


@pytest.mark.database("sqlite", "postgresql")
def test_migrate_names_rows_that_do_not_convert(pages: SampleFeatures) -> None:
    with pytest.raises(OperatorError, match=r"convert to integer: 'abc' \(id 2\), 'x y' \(id 3\)\. .*FILL"):
        pages.migrate()
    assert pages.execute("SELECT pages FROM library_book ORDER BY id") == [("12",), ("abc",), ("x y",)]


def declare_token(sample: SampleFeatures) -> None:
    sample.table("library_book", Column("token", String(20)))


@pytest.mark.database("sqlite", "postgresql")
def test_secret_values_are_not_shown(make_sample: MakeSample) -> None:
    sample = make_sample(declare_token, "INSERT INTO library_book (token) VALUES ('hush')")
    sample.table("library_book", Column("token", Integer))
    sample.make_migrations()
    with pytest.raises(OperatorError) as error:
        sample.migrate()
    assert "a value (id 1)" in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.database("postgresql")
def test_secret_values_are_not_shown_by_postgresql(make_sample: MakeSample) -> None:
    sample = make_sample(declare_token, "INSERT INTO library_book (token) VALUES ('١٢')")
    sample.table("library_book", Column("token", Integer))
    sample.make_migrations()
    with pytest.raises(OperatorError, match=r"token has values that do not convert to INTEGER\. Set"):
        sample.migrate()


def declare(sample: SampleFeatures, type_: TypeEngine[Any]) -> None:
    sample.table("library_book", Column("title", type_, nullable=False))


@pytest.mark.parametrize("types", [(BigInteger(), Integer()), (Numeric(6, 3), Numeric(6, 2)), (Float(), Integer())])
def test_smaller_type_needs_a_conversion(make_sample: MakeSample, types: Sequence[TypeEngine[Any]]) -> None:
    sample = make_sample(lambda new: declare(new, types[0]))
    declare(sample, types[1])
    (draft,) = sample.draft_migrations()
    assert "Convert library_book.title" in str(draft.changes[-1])


@pytest.fixture
def titled(make_sample: MakeSample) -> SampleFeatures:
    """A table whose text column becomes translated."""
    sample = make_sample(lambda new: declare(new, String(80)))
    with connect(sample.settings) as connection, connection.begin():
        connection.execute(sample.metadata.tables["library_book"].insert().values(title="Emma"))
    declare(sample, TranslatedColumn())
    with using_settings(sample.settings.model_copy(update={"language": "de"})):
        sample.make_migrations()
    return sample


def read_title(sample: SampleFeatures) -> Any:
    with connect(sample.settings) as connection:
        return connection.scalar(select(sample.metadata.tables["library_book"].columns.title))


@pytest.mark.database("sqlite", "postgresql")
def test_text_becomes_text_in_site_language(titled: SampleFeatures) -> None:
    titled.migrate()
    assert read_title(titled) == TranslatedText({"de": "Emma"})
    assert titled.draft_migrations() == []
    titled.migrate("library", "1")
    declare(titled, String(80))
    assert read_title(titled) == "Emma"
    titled.migrate()
    with connect(titled.settings) as connection, connection.begin():
        connection.exec_driver_sql("""UPDATE library_book SET title = '{"en": "Emma"}'""")
    with pytest.raises(OperatorError, match="title has values that do not convert to varchar"):
        titled.migrate("library", "1")
