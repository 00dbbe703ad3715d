"""`migrate`, `showmigrations` and `makemigrations` with a real database."""

import shutil
from pathlib import Path

import pytest

from opportune.cli.scaffold.installed import without_feature
from opportune.db.drivers.sqlite import SETTINGS
from opportune.db.migrations.graph import MigrationGraph
from opportune.project.installed import installed_names
from tests.opportune.cli.command_server import RunCommand
from tests.opportune.cli.conftest import Library, Oppman
from tests.opportune.cli.development.processes import run_concurrent_migrations

APPLYING = "".join(f"  Applying {migration}... OK\n" for migration in MigrationGraph(installed_names()).ordered)


def test_migrations_at_the_direct_address_are_printed(oppman: Oppman, tmp_path: Path) -> None:
    unreachable_url, path = "postgresql://me@127.0.0.1:1/name", tmp_path / "data/app.db"
    result = oppman("migrate", DATABASE_URL=unreachable_url, DATABASE_DIRECT_URL=f"sqlite:///{path}")
    assert result.code == 0
    assert result.out.startswith(f"Operations to perform:\n  Create the database {path}, in a new folder\n  Apply all")
    assert result.out.endswith(f"Running migrations:\n{APPLYING}")
    assert oppman("migrate").out.endswith("Running migrations:\n  No migrations to apply.\n")
    # Only the owner may read the folder and the file.
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.database("sqlite", "postgresql")
def test_concurrent_migrations_succeed(oppman: Oppman, empty_database_url: str) -> None:
    assert run_concurrent_migrations(empty_database_url, 2) == [0, 0]
    assert oppman("migrate", "--check", DATABASE_URL=empty_database_url).code == 0


def test_all_migrations_of_a_feature_are_unapplied(oppman: Oppman, database_url: str) -> None:
    result = oppman("migrate", "accounts", "zero", DATABASE_URL=database_url)
    assert "  Unapply all migrations: accounts\n" in result.out
    assert result.out.endswith("  Unapplying accounts.0001_initial... OK\n")
    assert "[X]" not in oppman("showmigrations", "accounts").out


def test_plan_changes_nothing(oppman: Oppman, empty_database_url: str, database_url: str) -> None:
    result = oppman("migrate", "--plan", DATABASE_URL=empty_database_url)
    assert result.out.startswith("Planned operations:\n  Apply accounts.0001_initial\n")
    assert oppman("migrate", "--check").code == 1
    assert "[X]" not in oppman("showmigrations", "accounts").out
    result = oppman("migrate", "--plan", DATABASE_URL=database_url)
    assert result.out == "Planned operations:\n  No planned migration operations.\n"
    assert oppman("migrate", "--check").code == 0


def test_check_creates_no_database_file(oppman: Oppman, tmp_path: Path) -> None:
    for command in (["showmigrations"], ["migrate", "--plan"], ["makemigrations", "--check"]):
        outcome = oppman(*command, DATABASE_URL=f"sqlite:///{tmp_path}/new/app.db")
    assert outcome[:2] == (0, "No changes detected\n")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_no_new_file(oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.db.migrations.connection.SETTINGS", f"{SETTINGS} PRAGMA max_page_count = 3;")
    error = oppman("migrate", DATABASE_URL=f"sqlite:///{tmp_path}/app.db").err
    assert error.count("\n") == 1
    assert error.endswith("database or disk is full. Free some space, then run this again.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["migrate", "acounts"], 1, "No feature 'acounts' is installed. Did you mean accounts?"),
        (["makemigrations", "--empty"], 1, ""),
        (["migrate", "accounts", "0009"], 1, "accounts has no migration '0009'."),
        (["sqlmigrate", "accounts", "99"], 1, "accounts has no migration '99'."),
        (["sqlmigrate", "accounts"], 2, "Missing argument 'migration'"),
    ],
)
def test_wrong_arguments(oppman: Oppman, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    assert message in oppman(*arguments, DATABASE_URL=f"sqlite:///{tmp_path}/app.db").line(code)


@pytest.mark.database("postgresql")  # SQLite compares with a temporary database
def test_models_are_compared_with_migrated_postgresql(oppman: Oppman, empty_database_url: str) -> None:
    result = oppman("makemigrations", DATABASE_URL=empty_database_url)
    assert result.code == 1
    assert result.err.startswith("Models are compared with the database, which lacks accounts.0001_initial")


@pytest.mark.database("postgresql")
def test_first_migration_needs_no_migrated_database(library: Library, run: RunCommand, empty_database_url: str) -> None:
    library.declare(BADGE)
    code, output = run(f"DATABASE_URL={empty_database_url}", "makemigrations")
    assert code == 0
    assert "    + Create table library_badge\n" in output
    assert "Compared only library, because other features have unapplied migrations." in output


BADGE = """

class Badge(Model, table=True):
    __tablename__ = "library_badge"
"""


def test_changed_model_is_migrated_and_unapplied(library: Library, run: RunCommand) -> None:
    library.write_first_migration(BADGE)
    library.declare(f"{BADGE}\n    level: int = 3\n")
    path = "migrations/versions/library/0002_badge_level.py"
    expected = f"Migrations for 'library':\n  {path}\n    + Add column level to library_badge\n"
    assert run("makemigrations", "--check") == (1, expected)
    code, output = run("makemigrations", "--dry-run", "&&", "makemigrations", "library", "-m", "A level!")
    assert (code, output.startswith(expected + expected.replace("badge_level", "a_level"))) == (0, True)
    assert "The old version may fail: it inserts rows without library_badge.level, which is NOT NULL." in output
    code, output = run("makemigrations", "&&", "migrate", "library", "&&", "migrate", "library", "1")
    assert (code, output.startswith("No changes detected\n")) == (0, True)
    assert "  Applying library.0002_a_level... OK\n" in output
    assert output.splitlines()[-1] == "  Unapplying library.0002_a_level... OK"


def test_migrate_names_changes_without_migrations(library: Library, run: RunCommand) -> None:
    library.write_first_migration(BADGE)
    library.declare(f"{BADGE}\n    level: int = 3\n")
    code, output = run("ENVIRONMENT=development", "migrate", "&&", "migrate")
    assert (code, output.count("The models of library have changes without migrations.")) == (0, 1)
    migration = library.migrations / "0001_initial.py"
    script = migration.read_text(encoding="utf-8").replace("upgrade() -> None:", "upgrade() -> None:\n    {}['no row']")
    migration.write_text(script, encoding="utf-8")
    code, output = run("ENVIRONMENT=development", "migrate")
    assert (code, "makemigrations would fail: 'no row'" in output) == (0, True)


def test_table_is_dropped_only_on_request(library: Library, run: RunCommand) -> None:
    library.write_first_migration(BADGE)
    assert run("migrate")[0] == 0
    library.declare()
    code, output = run("makemigrations")
    assert (code, output.count("\n")) == (1, 1)
    assert "library_badge" in output
    assert "--allow-drop" in output
    code, output = run("makemigrations", "--allow-drop")
    assert code == 0
    assert "    - Drop table library_badge\n" in output
    shutil.rmtree(library.migrations)
    installed = library.folder / "app/installed.py"
    installed.write_text(without_feature(installed.read_text(encoding="utf-8"), "library"), encoding="utf-8")
    code, output = run("migrate", "&&", "showmigrations")
    assert code == 0
    assert "  No migrations to apply.\n" in output
    assert "Notice: the database has migrations of features that are not installed" in output
    assert "accounts\n [X] 0001_initial\n" in output
