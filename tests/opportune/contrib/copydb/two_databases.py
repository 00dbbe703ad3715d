"""Databases of both kinds for tests of copies."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import MetaData, text

from opportune.db.migrations.connection import connect
from opportune.db.models.model import NAMING_CONVENTION, Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.installed import feature_of_table, installed_names
from opportune.testing.plugin import settings_for

KINDS = ("sqlite", "postgresql")

ADD_USER = """
    INSERT INTO accounts_user (id, email, display_name, avatar, hashed_password, is_active, is_staff, is_superuser,
        is_verified, totp_secret, totp_step, created_at)
    VALUES (:id, :email, '', '', 'x', true, false, false, true, '', 0, '2026-11-20 10:11:12.000034+00:00')
"""
ADD_SESSION = """
    INSERT INTO accounts_session (id, token_hash, user_id, created_at, seen_at, expires_at, is_remembered,
        address, agent)
    VALUES (:id, 'token', 1, '2026-11-20 10:11:12.000034+00:00', '2026-11-20 10:11:12+00:00',
        '2026-11-20 11:11:12+00:00', false, '', 'ü ☃')
"""


class Databases:
    """Creates and drops databases."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.request = request
        self.folder = folder
        self.created: list[str] = []

    def create_filled(self, kind: str, *emails: str) -> str:
        """Create a migrated database with users, whose ids begin with 1."""
        url = self.create_migrated(kind)
        for number, email in enumerate(emails, 1):
            execute(url, ADD_USER, id=number, email=email)
        return url

    def create_migrated(self, kind: str) -> str:
        if kind == "postgresql":
            return self._create(self.request.getfixturevalue("postgres_template"))
        url = self.missing_url(kind)
        shutil.copyfile(self.request.getfixturevalue("sqlite_template"), DatabaseUrl.parse(url).path)
        return url

    def missing_url(self, kind: str) -> str:
        """Return the URL of a missing file, or of a database without tables."""
        return self._create(None) if kind == "postgresql" else f"sqlite:///{self.folder}/{uuid4().hex}.db"

    def _create(self, template: str | None) -> str:
        self.created.append(name := f"test_{uuid4().hex}")
        url: str = self.request.getfixturevalue("postgres_server").create_database(name, template)
        return url

    def drop(self) -> None:
        for name in self.created:
            self.request.getfixturevalue("postgres_server").drop_database(name)


D = TypeVar("D", bound=Databases)


@pytest.fixture
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    yield from open_databases(Databases, request, tmp_path)


def open_databases(class_: type[D], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[D]:
    folder = tmp_path / "databases"
    folder.mkdir()
    databases = class_(request, folder)
    yield databases
    databases.drop()


def copy_tables(names: Sequence[str]) -> MetaData:
    """Return copies of these features' tables."""
    metadata, installed = MetaData(naming_convention=NAMING_CONVENTION), installed_names()
    for table in Model.metadata.sorted_tables:
        if feature_of_table(table.name, installed) in names:
            table.to_metadata(metadata)
    return metadata


def execute(url: str, statement: str, **values: object) -> list[tuple[object, ...]]:
    with connect(settings_for(url)) as connection, connection.begin():
        result = connection.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []


def emails(url: str) -> list[object]:
    return [email for (email,) in execute(url, "SELECT email FROM accounts_user ORDER BY id")]


def has_tables(url: str) -> bool:
    parsed_url = DatabaseUrl.parse(url)
    if parsed_url.kind == "sqlite":
        return parsed_url.path.exists()
    return execute(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") != [(0,)]
