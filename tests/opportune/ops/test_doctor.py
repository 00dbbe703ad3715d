import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from opportune.config.project import installed_names
from opportune.config.settings import Settings
from opportune.db.drivers import psycopg_timeouts
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.doctor import diagnose as diagnose_module
from opportune.ops.doctor import prepared_statements, server
from opportune.ops.doctor.context import DoctorContext, Role, ServerContext
from opportune.ops.doctor.diagnose import diagnose
from opportune.ops.doctor.results import Diagnosis, Finding, Status
from opportune.ops.doctor.schema import compare
from opportune.testing.plugin import settings_for
from opportune.testing.services.pgbouncer import pgbouncer
from opportune.testing.services.postgres import Postgres
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy

NOBODY = 65534

on_postgresql = pytest.mark.database("postgresql")
on_sqlite = pytest.mark.database("sqlite")


async def examine(settings: Settings, processes: int = 1) -> Diagnosis:
    return (await diagnose(DoctorContext(settings, installed_names(), processes)))[0]


async def finding(check: str, settings: Settings) -> Finding:
    """What was found by the check of that name, which is the only one that a server is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnose_module, "CHECKS", {check: server.CHECKS[check]})
        return only(check, (await examine(settings)).findings)


async def prepared(settings: Settings) -> Finding:
    """What was found of prepared statements amid all checks, as a pooler meets them."""
    return only("prepared", (await examine(settings)).findings)


def only(check: str, findings: tuple[Finding, ...]) -> Finding:
    (found,) = (finding for finding in findings if finding.check == check)
    return found


async def test_a_healthy_database_has_no_fault_is_told_of_in_json_and_stays_as_it_was(settings: Settings) -> None:
    diagnosis = await examine(settings)
    assert diagnosis.faults == []
    assert only("writes", diagnosis.findings).values["possible"]
    assert only("migrations", diagnosis.findings).values["pending"] == []
    assert all(json.dumps(finding.values) for finding in diagnosis.findings)

    after = await examine(settings)
    assert [finding.status for finding in after.findings] == [finding.status for finding in diagnosis.findings]
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    if url.kind == "sqlite":
        with closing(sqlite3.connect(url.path)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    else:
        prepared = only("prepared", diagnosis.findings)
        assert (prepared.status, prepared.values["survive"]) == (Status.OK, True), "without a pooler"
        with psycopg.connect(settings.database_url.get_secret_value()) as server:
            tables = [name for (name,) in server.execute("SELECT tablename FROM pg_tables")]
    assert "alembic_version" in tables
    assert not any("doctor" in name for name in tables)


async def test_missing_migrations_are_a_fault(empty_database_url: str) -> None:
    url = DatabaseURL.parse(empty_database_url)
    if url.kind == "sqlite":
        url.path.touch(mode=0o600)
    found = await finding("migrations", settings_for(empty_database_url))
    assert found.status == Status.FAULT
    assert "accounts.0001_initial" in found.text
    assert found.fix == "Run: python3 oppman.py migrate"


def test_migrations_that_the_code_lacks_are_a_fault() -> None:
    rows = [*MigrationGraph(installed_names()).by_revision, "accounts_9999_abcd"]
    found = compare(MigrationGraph(installed_names()), rows)
    assert found.status == Status.FAULT
    assert found.values["newer"] == ["accounts_9999_abcd"]


def test_migrations_of_removed_features_are_a_notice() -> None:
    rows = [*MigrationGraph(installed_names()).by_revision, "gone_0001_abcd"]
    found = compare(MigrationGraph(installed_names()), rows)
    assert found.status == Status.NOTICE
    assert found.values["removed"] == ["gone_0001_abcd"]


@pytest.fixture
def pooled_url(postgres_server: Postgres, postgres_template: str) -> Iterator[str]:
    url = postgres_server.create_database("doctor_pooled", postgres_template)
    try:
        with pgbouncer(url) as pooled:
            yield pooled
    finally:
        postgres_server.drop_database("doctor_pooled")


async def test_a_pooler_loses_prepared_statements_nothing_is_left_on_it_and_to_deny_it_is_a_fault(
    pooled_url: str,
) -> None:
    settings = settings_for(pooled_url).model_copy(update={"database_pooled": "true"})
    for _ in range(2):  # what the first leaves behind would stop the second
        found = await prepared(settings)
        assert (found.status, found.values["survive"]) == (Status.OK, False)
        assert "does not need them" in found.text
    parts = DatabaseURL.parse(pooled_url).url.translate_connect_args(username="user", database="dbname")
    with (
        psycopg.connect(**parts, prepare_threshold=None) as one,
        psycopg.connect(**parts, prepare_threshold=None) as other,
    ):
        left = [link.execute("SELECT name FROM pg_prepared_statements").fetchall() for link in (one, other)]
    assert left == [[], []]
    denied = settings.model_copy(update={"database_pooled": "false"})
    found = await prepared(denied)
    assert (found.status, found.fix) == (Status.FAULT, "Remove DATABASE_POOLED=false.")


@on_postgresql
async def test_nothing_is_left_on_the_single_connection_of_a_pooler(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_statements, "RIVAL_TIMEOUT_SECONDS", 0.01)  # nobody else gives that connection back
    with pgbouncer(settings.database_url.get_secret_value(), connections=1) as url:
        assert (await prepared(settings_for(url))).values["survive"]
        parts = DatabaseURL.parse(url).url.translate_connect_args(username="user", database="dbname")
        with psycopg.connect(**parts, prepare_threshold=None) as link:
            assert link.execute("SELECT name FROM pg_prepared_statements").fetchall() == []


@pytest.fixture
def weak_settings(postgres_server: Postgres, settings: Settings) -> Iterator[Settings]:
    """Of a user who may connect, and no more."""
    url = DatabaseURL.parse(settings.database_url.get_secret_value()).url
    postgres_server.connection.execute("CREATE ROLE weak LOGIN PASSWORD 'sesame'")
    weak = url.set(username="weak", password="sesame").render_as_string(hide_password=False)
    yield settings_for(weak)
    postgres_server.connection.execute("DROP ROLE weak")


@on_postgresql
async def test_a_user_without_rights_or_who_only_reads_is_a_fault(
    weak_settings: Settings, postgres_server: Postgres
) -> None:
    diagnosis = await examine(weak_settings)
    assert [fault.check for fault in diagnosis.faults] == ["writes", "migrations"]
    assert diagnosis.faults[0].fix == "Its owner grants it: GRANT CREATE ON SCHEMA public TO weak"
    # Another user may be the one who migrates.
    direct = {"database_direct_url": weak_settings.database_url}
    writer, migrator = await diagnose(DoctorContext(weak_settings.model_copy(update=direct), installed_names()))
    assert only("writes", writer.findings).status == Status.NOTICE
    assert only("writes", migrator.findings).status == Status.FAULT
    postgres_server.connection.execute("ALTER ROLE weak SET default_transaction_read_only = on")
    found = await finding("writes", weak_settings)
    assert found.status == Status.FAULT
    assert "read-only" in found.text


@on_postgresql
async def test_a_reader_that_is_no_replica_is_a_notice(settings: Settings) -> None:
    reader = settings.model_copy(update={"database_reader_url": settings.database_url})
    _, diagnosis = await diagnose(DoctorContext(reader, installed_names()))
    assert diagnosis.url.name == "DATABASE_READER_URL"
    assert only("replica", diagnosis.findings).status == Status.NOTICE
    assert "writes" not in {finding.check for finding in diagnosis.findings}


@on_postgresql
async def test_a_database_of_few_connections_is_a_fault(settings: Settings, postgres_server: Postgres) -> None:
    name = DatabaseURL.parse(settings.database_url.get_secret_value()).url.database
    postgres_server.connection.execute(
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 10").format(sql.Identifier(str(name)))
    )
    found = await finding("connections", settings)
    assert (found.status, found.values["limit"]) == (Status.FAULT, 10)


@on_postgresql
async def test_an_old_server_clocks_that_differ_and_more_connections_than_it_has_are_faults(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MIN_SERVER_VERSION", 99)
    monkeypatch.setattr(server, "MAX_CLOCK_DRIFT_SECONDS", 0)
    found = (await examine(settings, processes=50)).findings
    old = only("server", found)
    assert (old.status, old.fix) == (Status.FAULT, "Use PostgreSQL 99 or newer.")
    clock = only("clock", found)
    assert clock.status == Status.FAULT
    assert clock.values["time_zone"] == "Asia/Kathmandu"
    assert abs(clock.values["difference_seconds"]) < 60
    connections = only("connections", found)
    assert connections.status == Status.FAULT
    assert connections.values["needed"] == 50 * 20
    assert "DATABASE_POOL_SIZE" in connections.fix


@on_postgresql
async def test_a_check_that_the_server_refuses_is_a_notice(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(subject: ServerContext) -> Finding:
        await subject.row("SELECT pg_read_file('/nowhere')")
        raise AssertionError

    async def refuse_another(_subject: ServerContext) -> Finding:
        raise psycopg.errors.TooManyConnections

    monkeypatch.setitem(server.CHECKS, "server", (refuse, {Role.WRITER}))
    monkeypatch.setitem(server.CHECKS, "prepared", (refuse_another, {Role.WRITER}))
    diagnosis = await examine(settings)
    assert diagnosis.faults == []
    assert only("server", diagnosis.findings).text == "the server does not tell (UndefinedFile)"
    assert only("prepared", diagnosis.findings).text == "the server does not tell (TooManyConnections)"


@on_postgresql
async def test_a_server_that_falls_silent_is_not_waited_for(
    settings: Settings, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose_module, "SERVER_TIMEOUT_SECONDS", 0.3)
    gateway = FaultyProxy(postgres_server.port)
    async with gateway.open():
        url = DatabaseURL.parse(settings.database_url.get_secret_value()).url.set(port=gateway.port)

        async def fall_silent(subject: ServerContext) -> Finding:
            gateway.silence()
            return await server.check_server(subject)

        monkeypatch.setitem(server.CHECKS, "server", (fall_silent, {Role.WRITER}))
        diagnosis = await examine(settings_for(url.render_as_string(hide_password=False)))
    assert diagnosis.faults[0].check == "connect"
    assert "in time" in diagnosis.faults[0].text


@on_sqlite
async def test_every_address_of_the_settings_is_looked_at(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg_timeouts, "RETRY_DELAYS_SECONDS", ())
    direct = settings.model_copy(update={"database_direct_url": SecretStr("postgresql://ann:sesame@127.0.0.1:1/x")})
    diagnoses = await diagnose(DoctorContext(direct, installed_names()))
    assert [diagnosis.url.name for diagnosis in diagnoses] == ["DATABASE_URL", "DATABASE_DIRECT_URL"]
    assert [len(diagnosis.faults) for diagnosis in diagnoses] == [0, 1]
