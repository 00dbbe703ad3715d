"""A site to back up: a database with one account, and an upload."""

import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.contrib.backup import create
from opportune.db.migrations.connection import connect
from opportune.project.installed import installed_names
from opportune.testing.services.postgres import Postgres
from tests.opportune.cli.conftest import Oppman
from tests.opportune.cli.development.processes import Work

INSERT_USER = """
    INSERT INTO accounts_user (email, display_name, avatar, hashed_password, is_active, is_staff, is_superuser,
        is_verified, totp_secret, totp_step, created_at)
    VALUES ('{email}', '', '', 'x', true, false, false, true, '', 0, '2026-01-01 00:00:00')
"""


@dataclass(frozen=True)
class Site:
    settings: Settings
    folder: Path

    @property
    def url(self) -> str:
        return self.settings.database_url.get_secret_value()

    @property
    def path(self) -> Path:
        """Path of the SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    @property
    def upload(self) -> Path:
        return self.folder / "uploads" / "a" / "picture.png"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with connect(self.settings) as connection, connection.begin():
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def emails(self) -> list[object]:
        return [email for (email,) in self.execute("SELECT email FROM accounts_user ORDER BY id")]

    def add_user(self, email: str) -> None:
        self.execute(INSERT_USER.format(email=email))

    def with_url(self, url: str) -> "Site":
        return Site(self.settings.model_copy(update={"database_url": SecretStr(url)}), self.folder)

    def work(self, file: Path) -> Work:
        """Return the arguments of a backup or restore in another process."""
        watched_folders = (str(self.folder), str(self.path.parent))
        features, path = tuple(installed_names()), os.environ["PATH"]
        return Work(self.settings, features, file, watched_folders, path, tempfile.gettempdir())


@pytest.fixture
def site(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    storage_url = f"file:{tmp_path / 'uploads'}"
    site = Site(settings.model_copy(update={"storage_url": SecretStr(storage_url)}), tmp_path)
    monkeypatch.setenv("DATABASE_URL", site.url)
    monkeypatch.setenv("STORAGE_URL", storage_url)
    monkeypatch.setattr(create, "BACKUP_FOLDER", site.folder / "backups")
    site.upload.parent.mkdir(parents=True)
    site.upload.write_bytes(b"picture")
    site.add_user("ada@example.com")
    return site


@pytest.fixture
def programs(database_kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the programs of the PostgreSQL server first on the PATH."""
    if database_kind == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("PATH", f"{server.programs}{os.pathsep}{os.environ['PATH']}")


only_postgresql = pytest.mark.database("postgresql")


def error_line(oppman: Oppman, *arguments: str) -> str:
    """Run a command that must fail, and return its error, which must be one line."""
    result = oppman(*arguments)
    assert (result.code, result.err.count("\n")) == (1, 1), result
    return result.err


def enlarge(site: Site) -> None:
    """Add 100 kB to a SQLite database, which is small in a project without features."""
    with closing(sqlite3.connect(site.path)) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(100000)")
