"""A reused database is as clean as a new one."""

import psycopg
import pytest

from opportune.testing.services.postgres import Postgres
from opportune.testing.services.spare_databases import SpareDatabases

INSERT_GROUP = "INSERT INTO accounts_group (name) VALUES ('Readers') RETURNING id"


@pytest.fixture
def spares(postgres_server: Postgres, postgres_template: str) -> SpareDatabases:
    """Spare databases of this test only."""
    return SpareDatabases(postgres_server, postgres_template)


def run_statements(spares: SpareDatabases, *statements: str) -> str:
    """Run statements in a spare database, give it back, and return its name."""
    name = spares.take()
    connection = psycopg.connect(spares.server.url(name), autocommit=True)
    for statement in statements:
        connection.execute(statement)
    pid = connection.info.backend_pid
    connection.close()
    terminate = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = %s"
    spares.in_use[name].connection.execute(terminate, [pid])
    spares.give_back(name)
    return name


def test_rows_and_sequences_are_reset(spares: SpareDatabases) -> None:
    name = run_statements(spares, INSERT_GROUP, INSERT_GROUP.replace("Readers", "Writers"))
    assert spares.take() == name
    with psycopg.connect(spares.server.url(name)) as connection:
        assert connection.execute(INSERT_GROUP).fetchone() == (1,)
    connection.close()
    spares.close()


def test_shipped_rows_keep_their_ids(postgres_server: Postgres, postgres_template: str) -> None:
    postgres_server.create_database("shipping", postgres_template)
    with psycopg.connect(postgres_server.url("shipping")) as connection:
        connection.execute(INSERT_GROUP)
    connection.close()
    spares = SpareDatabases(postgres_server, "shipping")
    name = run_statements(spares, "SELECT nextval(pg_get_serial_sequence('accounts_group', 'id'))")
    assert spares.take() == name
    with psycopg.connect(spares.server.url(name)) as connection:
        assert connection.execute("SELECT id, name FROM accounts_group").fetchall() == [(1, "Readers")]
        assert connection.execute(INSERT_GROUP.replace("Readers", "Writers")).fetchone() == (2,)
    connection.close()
    spares.close()
    postgres_server.drop_database("shipping")


def test_created_objects_are_removed(spares: SpareDatabases) -> None:
    name = run_statements(
        spares,
        "CREATE TABLE more (id serial PRIMARY KEY, group_id bigint REFERENCES accounts_group)",
        'CREATE TABLE "even More" (id int REFERENCES more)',
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA apart CREATE TABLE more (id int)",
        "CREATE EXTENSION pg_trgm",
    )
    assert spares.take() == name
    with psycopg.connect(spares.server.url(name)) as connection:
        created_objects = connection.execute(
            "SELECT to_regclass('more'), to_regclass('\"even More\"'), to_regproc('one'), to_regnamespace('apart')"
        )
        assert created_objects.fetchone() == (None,) * 4
        assert connection.execute("SELECT FROM pg_extension WHERE extname = 'pg_trgm'").fetchall() == []
    connection.close()
    spares.close()


CHANGES = (
    "CREATE INDEX more ON accounts_group (name)",
    "ALTER TABLE accounts_group DROP CONSTRAINT pk_accounts_group CASCADE",
    "CREATE FUNCTION pg_catalog.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "UPDATE alembic_version SET version_num = version_num || 'x'",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = UTC', current_database()); END $$",
    "INSERT INTO accounts_group (name) SELECT number FROM generate_series(1, 10000) AS number",
)
"""Changes that emptying a database does not undo."""


def test_changed_database_is_not_reused(spares: SpareDatabases) -> None:
    for statement in CHANGES:
        name = run_statements(spares, statement)
        other = spares.take()
        assert other != name, statement
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            psycopg.connect(spares.server.url(name))
        spares.give_back(other)  # changed next
    spares.close()


def test_connected_database_waits(spares: SpareDatabases) -> None:
    name = spares.take()
    with psycopg.connect(spares.server.url(name)) as connection:
        connection.execute(INSERT_GROUP)
        spares.give_back(name)
        other = spares.take()
        assert other != name
    connection.close()
    spares.give_back(other)
    spares.close()
