"""`migrate` with --fake, --fake-initial, --plan and --prune, and `showmigrations`."""

import pytest
from sqlalchemy import text

from opportune.cli.database import migrate, sqlmigrate
from opportune.cli.development import database_checks
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.safety import Risk
from opportune.project.installed import installed_names
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman


def execute(url: str, *statements: str) -> None:
    with connect(settings_for(url)) as connection:
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()


@pytest.fixture
def unapplied(oppman: Oppman, database_url: str) -> str:
    """URL of a database with the tables of a feature whose migrations are not recorded."""
    outcome = oppman("migrate", "mcp", "zero", "--fake", DATABASE_URL=database_url)
    assert outcome.out.endswith("  Unapplying mcp.0001_initial... FAKED\n")
    return database_url


@pytest.mark.usefixtures("unapplied")
@pytest.mark.database("sqlite", "postgresql")
def test_tables_like_the_first_migration_are_adopted(oppman: Oppman) -> None:
    assert "[ ]" in oppman("showmigrations", "mcp").out
    adopted = oppman("migrate", "--fake-initial")
    assert (adopted.code, adopted.err) == (0, "")
    assert adopted.out.endswith("  Applying mcp.0001_initial... FAKED\n")
    assert oppman("migrate", "--check").code == 0


def test_different_tables_are_not_adopted(oppman: Oppman, unapplied: str) -> None:
    execute(
        unapplied,
        "ALTER TABLE mcp_client ADD COLUMN colour VARCHAR(20)",
        "ALTER TABLE mcp_client ADD COLUMN size INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE mcp_client RENAME COLUMN name TO errand",
        "DROP INDEX ix_mcp_client_created_at",
    )
    result = oppman("migrate", "--fake-initial")
    assert result.code == 1
    *lines, summary = result.err.splitlines()
    assert any(line.startswith("error: mcp_client.name (") and line.endswith("is missing.") for line in lines)
    assert {
        "error: mcp_client.errand is not in the model.",
        "Notice: mcp_client.colour is not in the model.",
        "Notice: mcp_client.size is not in the model.",
        "Notice: index ix_mcp_client_created_at on mcp_client is missing.",
    } < {*lines}
    assert summary.startswith("Nothing was adopted. ")
    assert "[ ]" in oppman("showmigrations", "mcp").out
    assert oppman("migrate", "mcp", "--fake").out.endswith("  Applying mcp.0001_initial... FAKED\n")


@pytest.mark.database("postgresql")
def test_types_and_nullability_are_compared(oppman: Oppman, unapplied: str) -> None:
    execute(unapplied, "ALTER TABLE mcp_client ALTER name TYPE TEXT, ALTER auth_method DROP NOT NULL")
    lines = oppman("migrate", "--fake-initial").err.splitlines()
    assert "error: mcp_client.name is TEXT, not VARCHAR(100)." in lines
    assert "error: mcp_client.auth_method must not allow NULL." in lines


def test_plan_lists_operations_in_both_directions(oppman: Oppman, empty_database_url: str) -> None:
    oppman("migrate", "accounts", DATABASE_URL=empty_database_url)
    assert oppman("migrate", "mcp", "--plan").out == (
        "Planned operations:\n  Apply mcp.0001_initial\n    + Create table mcp_client\n    + Create table mcp_grant\n"
        "    Compatible with the old version.\n"
    )
    oppman("migrate", "mcp")
    assert oppman("migrate", "mcp", "zero", "--plan").out == (
        "Planned operations:\n  Unapply mcp.0001_initial\n    - Drop table mcp_grant\n    - Drop table mcp_client\n"
    )


@pytest.mark.database("sqlite", "postgresql")
def test_locks_are_shown_on_postgresql(oppman: Oppman, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oppman("migrate", "mcp", "zero", DATABASE_URL=database_url)
    migration = MigrationGraph(installed_names()).migrations_of("mcp")[0]
    notice = "It is built. It blocks writes of mcp_client (SHARE lock). Do not."
    for module in (migrate, database_checks, sqlmigrate):
        monkeypatch.setattr(module, "find_table_locks", lambda _migrations: [Risk(migration, notice)])
    is_postgresql = database_url.startswith("postgresql")
    commands = (["migrate", "--plan"], ["sqlmigrate", "mcp", "1"], ["check"])
    for command in commands if is_postgresql else commands[:2]:
        assert (notice in oppman(*command).out) == is_postgresql, command


def test_prune_forgets_removed_features(oppman: Oppman, database_url: str) -> None:
    execute(database_url, "INSERT INTO alembic_version VALUES ('shelves_0001_ab12')")
    assert "features that are not installed: shelves_0001_ab12" in oppman("migrate", DATABASE_URL=database_url).err
    assert oppman("migrate", "--prune").out == "Forgot shelves_0001_ab12.\n"
    assert oppman("migrate", "--prune") == (0, "There is nothing to forget.\n", "")
