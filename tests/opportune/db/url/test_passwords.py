"""Passwords that change while the site runs: from a file, or from a function of the project."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from psycopg import sql
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import OperationalError

from opportune.config.settings import Settings
from opportune.db import Database, DatabaseUrl, explain, is_outage, open_database
from opportune.db.migrations.connection import connect
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres
from tests.opportune.stored_rows import read_one

pytestmark = pytest.mark.database("postgresql")

ROLE = "rotated"
USER = text("SELECT current_user")
tokens: list[str] = []


def make_token(host: str, port: int, user: str) -> str:
    """Return the current password of the role, as a cloud's library does."""
    assert (host, port > 0, user) == ("127.0.0.1", True, ROLE)
    return tokens[-1]


class RotatedRole:
    """Role whose password changes, with a file that contains it."""

    def __init__(self, server: Postgres, file: Path, database_url: str) -> None:
        self.server, self.file = server, file
        url = make_url(database_url)
        self.url = URL.create("postgresql", ROLE, host=url.host, port=url.port, database=url.database)
        self.rotate()

    def rotate(self) -> None:
        tokens.append(token_hex())
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), tokens[-1])
        self.server.connection.execute(statement)
        self.file.write_text(f"{tokens[-1]}\n", encoding="utf-8-sig")

    def settings(self, **options: str) -> Settings:
        address = self.url.update_query_dict(options).render_as_string(hide_password=False)
        return settings_for(address).model_copy(update={"jobs": "off"})


@pytest.fixture
def role(postgres_server: Postgres, database_url: str, tmp_path: Path) -> Iterator[RotatedRole]:
    postgres_server.connection.execute(f"CREATE ROLE {ROLE} LOGIN")
    yield RotatedRole(postgres_server, tmp_path / "password", database_url)
    postgres_server.connection.execute(f"DROP ROLE {ROLE}")


@pytest.fixture(params=["file", "function"])
async def rotated(role: RotatedRole, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    options = {"file": {"password_file": str(role.file)}, "function": {"password_from": f"{__name__}:make_token"}}
    async with open_database(role.settings(**options[request.param])) as database:
        yield database


async def read_user(database: Database) -> str:
    return str(await read_one(database, USER))


async def test_changed_password_is_used(rotated: Database, role: RotatedRole, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert await read_user(rotated) == ROLE
    role.rotate()
    await rotated.reading_engine.dispose()
    assert await read_user(rotated) == ROLE
    await rotated.ping()
    assert not any(token in caplog.text for token in tokens)


def test_commands_read_the_password(role: RotatedRole) -> None:
    settings = role.settings(password_file=str(role.file))
    for _ in range(2):
        role.rotate()
        with connect(settings) as connection:
            assert connection.scalar(USER) == ROLE
        url = DatabaseUrl.parse(settings.database_url.get_secret_value())
        assert url.environ == {"PGPASSWORD": tokens[-1]}
        assert "password" not in url.conninfo


@pytest.mark.parametrize("option", ["password_file=missing", "password_from=os:missing"])
async def test_unreadable_password_is_an_outage(option: str) -> None:
    async with open_database(settings_for(f"postgresql://u@127.0.0.1:1/d?{option}")) as database:
        with pytest.raises(OperationalError) as error:
            await read_user(database)
        assert is_outage(error.value)
        message = "The password of 127.0.0.1:1 cannot be read. Check password_file or password_from in DATABASE_URL."
        assert explain(error.value, database.url) == message
        with pytest.raises(OperatorError, match="cannot be read"):
            await database.ping()


def test_invalid_password_source_is_refused() -> None:
    for address, message in (
        ("postgresql://u:p@h/d?password_file=a", "Use only one of a password, password_file and password_from"),
        ("postgresql://u@h/d?password_from=app.database", "Name a function: password_from=app.database:make_token"),
    ):
        with pytest.raises(OperatorError, match=message):
            DatabaseUrl.parse(address)
