"""Slow lists and missing indexes of large tables."""

from dataclasses import replace
from datetime import date

import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData, text
from sqlmodel import Field

from opportune.admin.views import AdminView
from opportune.contrib.doctor import growth, plans, statistics
from opportune.contrib.doctor.examination import Status
from opportune.contrib.doctor.growth import examine_growth
from opportune.crud import Crud
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.feature import Admin, Feature
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import execute

pytestmark = pytest.mark.database("sqlite", "postgresql")

INSERTS = {
    "sqlite": """
        INSERT INTO test_parcel (code, weight, sent_on)
        WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
        SELECT 'parcel ' || n, n, date('2026-05-01', n || ' days') FROM numbers
    """,
    "postgresql": """
        INSERT INTO test_parcel (code, weight, sent_on)
        SELECT 'parcel ' || n, n, date '2026-05-01' + n FROM generate_series(1, 20000) AS numbers(n)
    """,
}
STATEMENTS_VIEW = """
CREATE VIEW pg_stat_statements AS
SELECT oid AS dbid, 'SELECT  1' AS query, 20 AS calls, 300.0::float AS mean_exec_time, 1 AS total_exec_time
FROM pg_database WHERE datname = current_database()
"""
FILTER = "admin list of Parcels, filter weight: reads all rows of test_parcel; add index=True to Parcel.weight"
ORDER = "admin list of Parcels, order code: reads all rows of test_parcel; add index=True to Parcel.code"
SEARCH = "admin list of Parcels, search: reads all rows of test_parcel; set search_index on Parcel"
DEPOTS = "indexes: each deletion in test_depot reads all rows of test_parcel; add index=True to Parcel.depot_id"


class ParcelTable(Model):
    # Separate from the project's tables, which migrations create.
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Depot(ParcelTable, table=True):
    __tablename__ = "test_depot"
    name: str


class Parcel(ParcelTable, table=True):
    __tablename__ = "test_parcel"
    code: str
    weight: int
    sent_on: date = Field(index=True)
    depot_id: int | None = Field(default=None, foreign_key="test_depot.id")


class Label(ParcelTable, table=True):
    __tablename__ = "test_label"
    search_index = True
    code: str


class LabelAdmin(AdminView, model=Label):
    search = ("code",)


class DepotAdmin(AdminView, model=Depot):
    pass


class ParcelAdmin(AdminView, model=Parcel):
    filters = ("weight", "sent_on")
    sort = ("sent_on", "code")
    search = ("code",)


class Parcels(Crud[Parcel]):
    filters = ("weight",)
    sort = ("code",)


PARCELS = Feature("parcels", models=(Depot, Label, Parcel), admin=Admin((DepotAdmin, LabelAdmin, ParcelAdmin)))
WITHOUT_ADMIN = replace(PARCELS, admin=replace(PARCELS.admin, views=()))

app = site_fixture(PARCELS)


@pytest.fixture
async def full_app(app: FastAPI) -> FastAPI:
    """The site with many parcels."""
    dialect = app.state.database.engine.dialect.name
    await run(app, INSERTS[dialect], "ANALYZE test_parcel")
    return app


@pytest.fixture(autouse=True)
def _lists_are_only_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name no list because this machine is slow. 20,000 rows are large enough to read them with an index."""
    monkeypatch.setattr(growth, "LISTS_SECONDS", -1)
    monkeypatch.setattr(plans, "MIN_PLAN_COST", 200)


@pytest.fixture
def all_lists_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "LISTS_SECONDS", 60)
    monkeypatch.setattr(growth, "SLOW_MS", 0)


async def run(app: FastAPI, *statements: str) -> None:
    for statement in statements:
        await execute(app, text(statement))


async def read_lines(app: FastAPI, *features: Feature) -> list[str]:
    findings = await examine_growth(app.state.settings, features or [PARCELS])
    return [f"{finding.check}: {finding.text}" for finding in findings]


async def test_small_tables_are_not_examined(app: FastAPI) -> None:
    (finding,) = await examine_growth(app.state.settings, [PARCELS])
    assert (finding.check, finding.status, finding.text) == ("lists", Status.OK, "no table has 10,000 rows")


async def test_lists_without_an_index_are_named(full_app: FastAPI) -> None:
    lines = await read_lines(full_app)
    assert {f"indexes: {FILTER}", f"indexes: {ORDER}", DEPOTS} <= {*lines}
    assert [line for line in lines if line.startswith(f"indexes: {SEARCH}")]
    assert not [line for line in lines if "sent_on" in line]


async def test_lists_with_an_index_are_not_named(full_app: FastAPI) -> None:
    await run(
        full_app.state.database,
        "CREATE INDEX ix_weight ON test_parcel (weight)",
        "CREATE INDEX ix_depot ON test_parcel (depot_id) WHERE depot_id IS NOT NULL",
        "ANALYZE test_parcel",
        "INSERT INTO test_label (code) SELECT code FROM test_parcel",
        "ANALYZE test_label",
    )
    lines = await read_lines(full_app)
    assert not [line for line in lines if "weight" in line or "Labels" in line or line == DEPOTS]


@pytest.mark.database("sqlite")
@pytest.mark.usefixtures("all_lists_are_slow")
async def test_slow_list_is_named_with_its_index(full_app: FastAPI) -> None:
    lines = await read_lines(full_app, WITHOUT_ADMIN)
    (line,) = [line for line in lines if line.startswith("lists: list of Parcels, filter weight: ")]
    assert line.endswith(" ms; add index=True to Parcel.weight")


@pytest.mark.usefixtures("all_lists_are_slow")
async def test_slow_list_is_interrupted(full_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "STATEMENT_SECONDS", 0.001)
    monkeypatch.setattr(growth, "MAX_FINDINGS", 100)
    lines = await read_lines(full_app)
    assert [line for line in lines if line.startswith("lists: admin list of Parcels, search: over ")]


@pytest.mark.database("postgresql")
async def test_scans_of_large_tables_are_named(full_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MIN_SCANS", 1)
    scan = "SELECT count(*) FROM test_parcel WHERE weight < 0"
    await run(full_app, scan, "SELECT pg_stat_force_next_flush()")
    assert [line for line in await read_lines(full_app) if "queries have read test_parcel without an index" in line]


@pytest.mark.database("postgresql")
async def test_unused_indexes_are_named(full_app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MIN_UNUSED_BYTES", 1)
    monkeypatch.setattr(statistics, "MIN_USES", 0)
    columns = "code, weight", "depot_id, weight"
    await run(full_app, *(f"CREATE INDEX ON test_parcel ({names})" for names in columns))
    lines = [line for line in await read_lines(full_app) if " queries of test_parcel has used test_parcel_" in line]
    assert ["_code_weight_idx" in line for line in lines] == [True], "foreign keys need their indexes"


@pytest.mark.database("postgresql")
async def test_slow_statements_are_named(full_app: FastAPI) -> None:
    await run(full_app, STATEMENTS_VIEW)
    assert "statements: 300 ms on average in 20 calls: SELECT 1" in await read_lines(full_app)
