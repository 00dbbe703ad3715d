"""Existing databases as features, by the documented commands: inspectdb, makemigrations, migrate --fake-initial."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from opportune.contrib.inspectdb import commands as inspectdb
from opportune.project.layout import PROJECT
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.command_server import REQUIRED_FEATURE_MODULES, TEST_MODULES, RunCommand, command_server
from tests.opportune.cli.conftest import Files, Oppman, ProjectCopy, install_required_features

SCHEMAS = Path(__file__).parent / "schemas"
SCHEMAS_OF_DATABASE = {
    "postgresql": ("pagila", "northwind", "wordpress", "django", "unusual"),
    "sqlite": ("sakila_sqlite", "chinook_sqlite", "wordpress_sqlite"),
}
"""Schemas in the shapes of well-known ones, in one database because each run of the commands takes seconds."""
COMMANDS_FOR_EXISTING_DATABASE = "makemigrations && migrate --fake-initial && makemigrations --check legacy && check"
COMMANDS_FOR_NEW_DATABASE = "migrate && makemigrations --check legacy && migrate legacy zero && migrate"
UNCHANGED, NO_ERRORS = "No changes detected", "No errors found."


@pytest.fixture(params=SCHEMAS_OF_DATABASE)
def old_and_new_database(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: Postgres
) -> Iterator[tuple[str, str]]:
    """URLs of a database with tables of other programs, and of an empty one."""
    sql = "".join((SCHEMAS / f"{name}.sql").read_text(encoding="utf-8") for name in SCHEMAS_OF_DATABASE[request.param])
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
            connection.executescript(sql)
        yield f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/new.db"
        return
    names = [f"adopted_{uuid4().hex}" for _ in range(2)]
    old, new = map(postgres_server.create_database, names)
    with psycopg.connect(old) as server_connection:
        server_connection.execute(sql.encode())
    yield old, new
    for name in names:
        postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ProjectCopy, RunCommand]]:
    """A copy of the project, with its pytest configuration."""
    copy = ProjectCopy(tmp_path_factory.mktemp("project_copy") / "copy")
    install_required_features(copy.folder, "inspectdb")
    shutil.copy(PROJECT / "pyproject.toml", copy.folder)
    for name in ("tests/__init__.py", "tests/conftest.py"):
        (copy.folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, copy.folder / name)
    with command_server(copy.folder, *TEST_MODULES, *REQUIRED_FEATURE_MODULES) as run:
        yield copy, run


@pytest.fixture(scope="module")
def project_files(project_copy: tuple[ProjectCopy, RunCommand]) -> Files:
    return Files([project_copy[0].folder / name for name in ("app", "migrations", "tests")])


def test_database_of_other_programs_is_adopted(
    project_copy: tuple[ProjectCopy, RunCommand],
    project_files: Files,
    oppman: Oppman,
    old_and_new_database: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The documented commands adopt an existing database. The feature also works on a new one and passes its tests."""
    copy, run = project_copy
    old, new = old_and_new_database

    def run_successfully(database: str, commands: str) -> str:
        code, output = run(f"DATABASE_URL={database}", *commands.split())
        assert code == 0, output
        assert "Warning" not in output, output
        return output

    monkeypatch.setattr(inspectdb, "PROJECT", copy.folder)
    try:
        inspected = oppman("inspectdb", "--into", "legacy", DATABASE_URL=old)
        assert inspected.code == 0, inspected.err
        assert "Warning" not in inspected.err
        assert "NullType" not in (copy.folder / "app/legacy/models.py").read_text(encoding="utf-8")
        adopted = run_successfully(old, COMMANDS_FOR_EXISTING_DATABASE)
        assert results_in(adopted) == ["Applying legacy.0001_initial... FAKED", UNCHANGED, NO_ERRORS]
        # A zero date of MySQL cannot be a default, so the server default differs.
        assert ("has a different server default" in adopted) is ("'0000-00-00'" in inspected.err)
        assert adopted.count("Notice") == adopted.count("has a different server default")
        # All in one process, because each process imports the whole site.
        new_output = run_successfully(new, f"{COMMANDS_FOR_NEW_DATABASE} && pytest -q tests/legacy")
        assert results_in(new_output)[:2] == ["Applying legacy.0001_initial... OK", UNCHANGED]
        assert " passed" in new_output
        assert "skipped" not in new_output
    finally:
        project_files.restore()


def results_in(output: str) -> list[str]:
    """Return the lines of results. A busy machine also prints lines of progress between them."""
    lines = map(str.strip, output.splitlines())
    return [line for line in lines if line.startswith(("Applying legacy.", UNCHANGED, NO_ERRORS))]
