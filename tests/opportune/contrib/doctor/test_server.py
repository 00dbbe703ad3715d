"""Examination of a PostgreSQL server and its certificate, directly and behind a pooler."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import inspect

from opportune.config.settings import Settings
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.contrib.doctor import diagnose as diagnose_module
from opportune.contrib.doctor import prepared_statements, server
from opportune.contrib.doctor.diagnose import diagnose
from opportune.contrib.doctor.examination import DoctorContext, Finding, Role, ServerContext, Status, compare_migrations
from opportune.contrib.doctor.tls import shake_hands
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.installed import installed_names
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.contrib.doctor.findings import examine, find_finding, run_check
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy

PREPARED_STATEMENTS = "SELECT name FROM pg_prepared_statements"
pytestmark = pytest.mark.database("postgresql")


async def check_prepared(settings: Settings) -> Finding:
    """Run all checks and return the one of prepared statements."""
    return find_finding("prepared", (await examine(settings)).findings)


@pytest.mark.database("sqlite", "postgresql")
async def test_healthy_database_has_no_fault(settings: Settings) -> None:
    diagnosis = await examine(settings)
    assert diagnosis.faults == []
    assert find_finding("writes", diagnosis.findings).values["possible"]
    assert find_finding("migrations", diagnosis.findings).values["pending"] == []
    assert all(json.dumps(finding.values) for finding in diagnosis.findings)
    if DatabaseUrl.parse(settings.database_url.get_secret_value()).kind == "postgresql":
        check_prepared = find_finding("prepared", diagnosis.findings)
        assert (check_prepared.status, check_prepared.values["survive"]) == (Status.OK, True), "without a pooler"


@pytest.mark.database("sqlite", "postgresql")
async def test_examination_leaves_no_tables(settings: Settings) -> None:
    await examine(settings)
    with connect(settings) as connection:
        tables = inspect(connection).get_table_names()
    assert "alembic_version" in tables
    assert not any("doctor" in name for name in tables)


@pytest.mark.database("sqlite", "postgresql")
async def test_pending_migrations_are_a_fault(empty_database_url: str) -> None:
    url = DatabaseUrl.parse(empty_database_url)
    if url.kind == "sqlite":
        url.path.touch(mode=0o600)
    finding = await run_check("migrations", settings_for(empty_database_url))
    assert finding.status == Status.FAULT
    assert "accounts.0001_initial" in finding.text
    assert finding.fix == "Run: python3 oppman.py migrate"


@pytest.mark.parametrize(
    ("revision", "status", "key"),
    [
        pytest.param("accounts_9999_abcd", Status.FAULT, "newer", id="unknown migration"),
        pytest.param("gone_0001_abcd", Status.NOTICE, "removed", id="migration of a removed feature"),
    ],
)
def test_migrations_without_a_file_are_reported(revision: str, status: Status, key: str) -> None:
    graph = MigrationGraph(installed_names())
    finding = compare_migrations(graph, [*graph.by_revision, revision])
    assert (finding.status, finding.values[key]) == (status, [revision])


@pytest.fixture
def pooled_url(postgres_server: Postgres, postgres_template: str) -> Iterator[str]:
    with pgbouncer(postgres_server.create_database("doctor_pooled", postgres_template)) as pooled:
        yield pooled
    postgres_server.drop_database("doctor_pooled")


def connect_to_pooler(url: str) -> psycopg.Connection[Any]:
    parts = DatabaseUrl.parse(url).url.translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**parts, prepare_threshold=None)


async def test_pooler_loses_prepared_statements(pooled_url: str) -> None:
    settings = settings_for(pooled_url).model_copy(update={"database_pooled": "true"})
    for _ in range(2):  # prepared statements of the first run would break the second
        finding = await check_prepared(settings)
        assert (finding.status, finding.values["survive"]) == (Status.OK, False)
        assert "does not need them" in finding.text
    with connect_to_pooler(pooled_url) as first_connection, connect_to_pooler(pooled_url) as second_connection:
        for connection in (first_connection, second_connection):
            assert connection.execute(PREPARED_STATEMENTS).fetchall() == []


async def test_pooler_with_database_pooled_false_is_a_fault(pooled_url: str) -> None:
    finding = await check_prepared(settings_for(pooled_url).model_copy(update={"database_pooled": "false"}))
    assert (finding.status, finding.fix) == (Status.FAULT, "Remove DATABASE_POOLED=false.")


async def test_no_statement_is_left_on_the_only_connection(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_statements, "SECOND_CLIENT_SECONDS", 0.01)  # the only connection stays occupied
    with pgbouncer(settings.database_url.get_secret_value(), connections=1) as url:
        assert (await check_prepared(settings_for(url))).values["survive"]
        with connect_to_pooler(url) as connection:
            assert connection.execute(PREPARED_STATEMENTS).fetchall() == []


@pytest.fixture
def unprivileged_settings(postgres_server: Postgres, settings: Settings) -> Iterator[Settings]:
    """Settings of a database user without any permissions."""
    url = DatabaseUrl.parse(settings.database_url.get_secret_value()).url
    postgres_server.connection.execute("CREATE ROLE weak LOGIN PASSWORD 'sesame'")
    unprivileged = url.set(username="weak", password="sesame").render_as_string(hide_password=False)
    yield settings_for(unprivileged)
    postgres_server.connection.execute("DROP ROLE weak")


async def test_user_without_permissions_is_a_fault(unprivileged_settings: Settings) -> None:
    diagnosis = await examine(unprivileged_settings)
    assert [fault.check for fault in diagnosis.faults] == ["writes", "migrations"]
    assert diagnosis.faults[0].fix.endswith("GRANT CREATE ON SCHEMA public TO weak")


async def test_user_of_migrations_must_create_tables(unprivileged_settings: Settings) -> None:
    direct = {"database_direct_url": unprivileged_settings.database_url}
    writer, migrator = await diagnose(DoctorContext(unprivileged_settings.model_copy(update=direct), installed_names()))
    assert find_finding("writes", writer.findings).status == Status.NOTICE
    assert find_finding("writes", migrator.findings).status == Status.FAULT


async def test_read_only_user_is_a_fault(unprivileged_settings: Settings, postgres_server: Postgres) -> None:
    postgres_server.connection.execute("ALTER ROLE weak SET default_transaction_read_only = on")
    finding = await run_check("writes", unprivileged_settings)
    assert finding.status == Status.FAULT
    assert "read-only" in finding.text


async def test_reader_that_is_no_replica_is_a_notice(settings: Settings) -> None:
    reader = settings.model_copy(update={"database_reader_url": settings.database_url})
    _, diagnosis = await diagnose(DoctorContext(reader, installed_names()))
    assert diagnosis.url.name == "DATABASE_READER_URL"
    assert find_finding("replica", diagnosis.findings).status == Status.NOTICE
    assert "writes" not in {finding.check for finding in diagnosis.findings}


async def test_connection_limit_below_demand_is_a_fault(settings: Settings, postgres_server: Postgres) -> None:
    name = sql.Identifier(str(DatabaseUrl.parse(settings.database_url.get_secret_value()).url.database))
    postgres_server.connection.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 10").format(name))
    finding = await run_check("connections", settings)
    assert (finding.status, finding.values["limit"]) == (Status.FAULT, 10)


async def test_old_server_is_a_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MIN_SERVER_VERSION", 99)
    finding = await run_check("server", settings)
    assert (finding.status, finding.fix) == (Status.FAULT, "Use PostgreSQL 99 or newer.")


@pytest.mark.parametrize(("limit", "status"), [(60, Status.NOTICE), (-1, Status.FAULT)])
async def test_clock_drift(settings: Settings, monkeypatch: pytest.MonkeyPatch, limit: int, status: Status) -> None:
    monkeypatch.setattr(server, "MAX_DIFFERENCE_SECONDS", -60)
    monkeypatch.setattr(server, "MAX_CLOCK_DRIFT_SECONDS", limit)
    clock = await run_check("clock", settings)
    assert clock.status == status
    assert abs(clock.values["difference_seconds"]) < 60


@pytest.mark.parametrize(
    ("processes", "bus", "needed", "fix"),
    [
        (12, "memory", 240, "Set DATABASE_POOL_SIZE=2 and DATABASE_MAX_OVERFLOW=2, run fewer processes"),
        (2, "postgresql", 2 * 21, ""),  # each process also listens
    ],
)
async def test_all_processes_are_counted(settings: Settings, processes: int, bus: str, needed: int, fix: str) -> None:
    diagnosis = await examine(settings.model_copy(update={"bus": bus}), processes)
    finding = find_finding("connections", diagnosis.findings)
    assert finding.status == (Status.FAULT if fix else Status.OK)
    assert finding.values["needed"] == needed
    assert finding.fix.startswith(fix)


async def test_refused_check_is_a_notice(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(context: ServerContext) -> Finding:
        await context.row("SELECT pg_read_file('/nowhere')")
        raise AssertionError

    async def refuse_another(_context: ServerContext) -> Finding:
        raise psycopg.errors.TooManyConnections

    monkeypatch.setitem(server.CHECKS, "server", (refuse, {Role.WRITER}))
    monkeypatch.setitem(server.CHECKS, "prepared", (refuse_another, {Role.WRITER}))
    diagnosis = await examine(settings)
    assert diagnosis.faults == []
    for name, error in {"server": "UndefinedFile", "prepared": "TooManyConnections"}.items():
        message = f"unknown: the server refuses this check ({error})"
        assert find_finding(name, diagnosis.findings).text == message


async def test_silent_server_times_out(
    settings: Settings, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose_module, "SERVER_TIMEOUT_SECONDS", 0.3)
    proxy = FaultyProxy(postgres_server.port)
    async with proxy.open():
        url = DatabaseUrl.parse(settings.database_url.get_secret_value()).url.set(port=proxy.port)

        async def fall_silent(context: ServerContext) -> Finding:
            proxy.silence()
            return await server.check_server(context)

        monkeypatch.setitem(server.CHECKS, "server", (fall_silent, {Role.WRITER}))
        diagnosis = await examine(settings_for(url.render_as_string(hide_password=False)))
    assert diagnosis.faults[0].check == "connect"
    assert "in time" in diagnosis.faults[0].text


async def check_tls(database_url: str, sslmode: str) -> Finding:
    url = DatabaseUrl.parse(database_url).url.set(query={"sslmode": sslmode})
    return await run_check("tls", settings_for(url.render_as_string(hide_password=False)))


async def test_tls_is_described(database_url: str) -> None:
    with pgbouncer(database_url, certificate_days=90) as url:
        finding = await check_tls(url, "require")
    assert finding.status == Status.OK
    assert finding.text.startswith("TLSv1.3, certificate of CN=")
    assert "not verified (sslmode=require" in finding.text
    assert (finding.values["in_use"], finding.values["trusted"]) == (True, False)
    with pgbouncer(database_url, certificate_days=3) as url:
        finding = await check_tls(url, "require")
    assert finding.status == Status.NOTICE
    assert finding.fix.startswith("Renew the certificate")


async def test_missing_tls_is_a_notice_unless_local(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = await check_tls(database_url, "disable")
    assert (finding.status, finding.values["in_use"]) == (Status.OK, False)
    monkeypatch.setattr(DatabaseUrl, "is_local", False)
    finding = await check_tls(database_url, "disable")
    assert finding.status == Status.NOTICE
    assert "sslmode=require" in finding.fix


async def test_certificate_of_known_authority_is_trusted(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pgbouncer(database_url) as pooled_url:
        url = DatabaseUrl.parse(pooled_url).url
        assert url.port
        assert "self-signed" in (await shake_hands("localhost", url.port)).distrust
        monkeypatch.setenv("SSL_CERT_FILE", str(url.query["sslrootcert"]))
        assert (await shake_hands("localhost", url.port)).distrust == ""
