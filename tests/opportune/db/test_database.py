"""Databases: sessions, files, and explanations of driver errors."""

import asyncio
import re
import stat
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import col

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.db import Database, DatabaseUrl, open_database
from opportune.db.errors import EXPLANATIONS, explain, is_outage
from opportune.testing.factories import make_user
from opportune.testing.plugin import settings_for
from tests.opportune.stored_rows import read_one

SERVER = DatabaseUrl.parse("postgresql://ada:hidden@db.example.org/site", name="DATABASE_READER_URL")

# Messages of drivers and servers, with a part of our explanation.
MESSAGES = {
    "no such table: books_book": "Run: python3 oppman.py migrate",
    'relation "books_book" does not exist': "Run: python3 oppman.py migrate",
    "QueuePool limit of size 5 overflow 5 reached, connection timed out, timeout 4.50": "DATABASE_POOL_SIZE",
    "unable to open database file": "Does its folder exist",
    "attempt to write a readonly database": "cannot be written",
    "cannot execute INSERT in a read-only transaction": "refuses writes",
    "file is not a database": "is not a SQLite database",
    "database disk image is malformed": "Restore a backup",
    "database is locked": "locked by another process",
    "database or disk is full": "The disk of",
    'could not extend file "base/5/16384": No space left on device': "The disk of",
    "disk I/O error": "fails to read or write",
    'FATAL:  password authentication failed for user "ada"': "refuses the password of user 'ada'",
    "FATAL:  SASL authentication failed": "refuses the password of user 'ada'",
    "the password cannot be read (FileNotFoundError)": "Check password_file or password_from in",
    "fe_sendauth: no password supplied": "requires a password for user 'ada'",
    'FATAL:  role "ada" does not exist': "has no user 'ada'",
    "FATAL:  Tenant or user not found": "Copy the pooler's connection string",
    'FATAL:  database "site" does not exist': "has no database 'site'",
    "received invalid response to SSL negotiation: H": "is not PostgreSQL",
    "server does not support SSL, but SSL was required": "does not support TLS",
    "SSL error: certificate verify failed": "sslrootcert in DATABASE_READER_URL",
    'FATAL:  no pg_hba.conf entry for host "10.0.0.1"': "Try sslmode=require",
    "FATAL:  SSL required": "requires TLS",
    "connection failed: Connection refused": "No server responds at db.example.org:5432",
    'connection to server on socket "/run/.s.PGSQL.5432" failed: No such file or directory': "No server responds at",
    "connection failed: Network is unreachable": "cannot reach db.example.org:5432",
    "connection failed: No route to host": "cannot reach db.example.org:5432",
    "failed to resolve host 'db.example.org'": "is unknown",
    "[Errno -2] Name or service not known": "is unknown",
    "FATAL:  sorry, too many clients already": "no free connection",
    "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute": "no free connection",
    'FATAL:  too many connections for role "ada"': "no free connection",
    "FATAL:  no more connections allowed (max_client_conn)": "no free connection",
    "FATAL:  MaxClientsInSessionMode: max clients reached": "no free connection",
    "FATAL:  the database system is starting up": "Try again in a moment",
    "FATAL:  the database system is shutting down": "Try again in a moment",
    "FATAL:  the database system is not yet accepting connections": "Try again in a moment",
    "FATAL:  the database system is in recovery mode": "Try again in a moment",
    "FATAL:  query_wait_timeout": "cannot connect to its database",
    "FATAL:  server login has been failing, try again later": "cannot connect to its database",
    "FATAL:  terminating connection due to administrator command": "closed the connection",
    "server closed the connection unexpectedly": "closed the connection",
    "the connection is closed": "closed the connection",
    "connection socket closed": "closed the connection",
    "SSL connection has been closed unexpectedly": "closed the connection",
    "could not receive data from server: Connection reset by peer": "closed the connection",
    "SSL error: unexpected eof while reading": "closed the connection",
    "could not send data to server: Broken pipe": "closed the connection",
    "server conn crashed?": "closed the connection",
    "received 2 results from command 'BEGIN'": "closed the connection",
    "canceling statement due to statement timeout": "DATABASE_STATEMENT_TIMEOUT",
    "canceling statement due to lock timeout": "held a lock for too long",
    "deadlock detected": "Two transactions",
    "could not serialize access due to concurrent update": "Two transactions",
    'bad value for connect_timeout: "soon"': "has a value that libpq does not accept",
    'invalid connection option "colour"': "an option that libpq",
    "connection timeout expired": "does not respond in time",
    "the server is silent": "does not respond in time",
}


def make_error(message: str) -> OperationalError:
    return OperationalError("SELECT secret", None, psycopg.OperationalError(message))


def test_driver_errors_are_explained_without_secrets() -> None:
    for message, expected in MESSAGES.items():
        explanation = explain(make_error(message), SERVER)
        assert expected in explanation, message
        assert "\n" not in explanation, message
        assert "hidden" not in explanation, message
        assert "{" not in explanation, message


def test_every_explanation_has_a_driver_error() -> None:
    fragments = [fragment for pattern in EXPLANATIONS for fragment in pattern.split("|")]
    found = {next(part for part in fragments if re.search(part, message, re.IGNORECASE)) for message in MESSAGES}
    assert found == {*fragments}


def test_unknown_error_is_named_by_its_reason_or_class() -> None:
    for message, reason in (
        ("h: FATAL:  bouncer config error", "bouncer config error"),
        ('null value in column "a" of relation "b"', "OperationalError"),
        ('h: FATAL:  permission denied for database "a"', 'permission denied for database "a"'),
    ):
        assert f"cannot be used ({reason}). Check" in explain(make_error(message), SERVER)


def test_outages_are_told_from_wrong_statements() -> None:
    for raised, outage in (
        (PoolTimeoutError(), True),
        (make_error("anything"), True),
        (OperationalError("", None, psycopg.errors.ProgramLimitExceeded()), False),
        (InternalError("", None, psycopg.errors.ReadOnlySqlTransaction()), True),
        (InternalError("", None, psycopg.errors.InFailedSqlTransaction()), False),
        (InternalError("", None, psycopg.InternalError("received 2 results from command 'BEGIN'")), True),
        (ProgrammingError("", None, psycopg.errors.UndefinedTable()), True),
        (ProgrammingError("", None, psycopg.errors.UndefinedColumn()), False),
    ):
        assert is_outage(raised) is outage, raised


async def test_lookup_returns_row_or_none(database: Database) -> None:
    by_email = select(col(User.email)).where(col(User.email) == bindparam("email"))
    assert await database.lookup(by_email, {"email": "a@example.com"}) is None
    await make_user(database, "a@example.com")
    assert await database.lookup(by_email, {"email": "a@example.com"}) == ("a@example.com",)


@pytest.mark.database("sqlite", "postgresql")
async def test_readers_after_a_lookup_are_read_only_snapshots(settings: Settings) -> None:
    single_connection = {"database_pool_size": 1, "database_max_overflow": 0}
    async with open_database(settings.model_copy(update=single_connection)) as database:
        await database.lookup(select(func.count()).select_from(User), {})
        async with database.reader() as session:
            session.add(User(email="a@example.com", hashed_password="none"))
            with pytest.raises(DBAPIError, match="read"):
                await session.flush()
        async with database.reader() as session:
            count_before = await session.scalar(select(func.count()).select_from(User))
            await make_user(database)
            assert await session.scalar(select(func.count()).select_from(User)) == count_before


@pytest.mark.database("sqlite", "postgresql")
async def test_concurrent_writers_lose_no_update(database: Database) -> None:
    await make_user(database, "0")

    async def increment() -> None:
        for _ in range(10):
            async with database.writer() as session:
                row = (await session.scalars(select(User).with_for_update())).one()
                row.email = str(int(row.email) + 1)

    await asyncio.gather(*(increment() for _ in range(5)))
    assert await read_one(database, select(User.email)) == "50"  # type: ignore[call-overload]  # a column here


@pytest.mark.database("sqlite", "postgresql")
async def test_ping_needs_no_write_lock(database: Database) -> None:
    async with open_database(database.settings) as other_database, database.writer() as session:
        session.add(User(email="a@example.com", hashed_password="none"))
        await session.flush()
        await other_database.ping()


async def test_writer_sets_pragmas_of_sqlite(tmp_path: Path) -> None:
    async with open_database(settings_for(f"sqlite:///{tmp_path}/new/folder/a.db")) as database:
        await database.setup()
        async with database.writer() as session:
            pragmas = {
                name: (await session.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}


async def test_new_sqlite_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "data/app.db"
    async with open_database(settings_for(f"sqlite:///{path}")) as database:
        await database.setup()
        await database.ping()
    assert (stat.S_IMODE(path.parent.stat().st_mode), stat.S_IMODE(path.stat().st_mode)) == (0o700, 0o600)
