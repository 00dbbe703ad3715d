"""What a driver's error means, in one line for a person."""

import sqlite3

from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.core.db.url import DatabaseURL

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""The database is down, full, locked or out of reach: worth another try later, and no fault of the request."""

MIGRATE = "{place} lacks a table. Run: python3 oppman.py migrate"

# A part of the driver's words, and ours. `{place}` is the file or host, `{user}` and `{name}` are the URL's.
EXPLANATIONS = (
    ("no such table", MIGRATE),
    ('relation "', MIGRATE),
    (
        "QueuePool limit",
        "All connections to {place} are in use: something holds them for long, or DATABASE_POOL_SIZE is too small.",
    ),
    ("unable to open database file", "SQLite cannot open {place}: is its folder there, and may this user write to it?"),
    (
        "readonly database",
        "{place} cannot be written: file, folder or disk are read-only. Use PostgreSQL there: set DATABASE_URL.",
    ),
    ("file is not a database", "{place} is not a SQLite database. Set DATABASE_URL to another file."),
    ("malformed", "{place} is damaged. Restore a backup."),
    ("database is locked", "{place} is locked by another process: end it or wait, then try again."),
    ("database or disk is full", "The disk of {place} is full."),
    ("password authentication failed", "{place} refuses the password of user '{user}'. Check DATABASE_URL."),
    ("no password supplied", "{place} wants a password for user '{user}'. Add it to DATABASE_URL."),
    ('role "', "{place} knows no user '{user}'. Check DATABASE_URL."),
    ("does not exist", "{place} has no database '{name}'. Create it, or check DATABASE_URL."),
    ("SSL negotiation", "What answers at {place} is no PostgreSQL server. Check host and port in DATABASE_URL."),
    (
        "does not support SSL",
        "{place} does not offer TLS, which the URL asks for. Use sslmode=disable or another server.",
    ),
    (
        "certificate",
        "The TLS certificate of {place} cannot be verified. Check sslmode and sslrootcert in DATABASE_URL.",
    ),
    ("pg_hba.conf", "{place} does not let user '{user}' in from here. Try sslmode=require in DATABASE_URL."),
    ("Connection refused", "Nothing answers at {place}. Is the database running, and is DATABASE_URL right?"),
    ("No such file or directory", "Nothing answers at {place}. Is the database running, and is DATABASE_URL right?"),
    ("unreachable", "This machine cannot reach {place}. Check its network and DATABASE_URL."),
    ("No route to host", "This machine cannot reach {place}. Check its network and DATABASE_URL."),
    ("resolve", "The host of {place} is unknown. Check DATABASE_URL."),
    ("Name or service not known", "The host of {place} is unknown. Check DATABASE_URL."),
    ("too many clients", "{place} has no free connection. Lower DATABASE_POOL_SIZE or end other clients."),
    ("bad value for", "DATABASE_URL has an option with a value that PostgreSQL's library does not understand."),
    ("invalid connection option", "DATABASE_URL has an option that PostgreSQL's library does not know."),
)


def lacks_table(error: BaseException) -> bool:
    """Whether a table is missing: nothing has been migrated."""
    driver = getattr(error, "orig", None)
    return getattr(driver, "sqlstate", None) == "42P01" or "no such table" in str(driver)


def explain(error: BaseException, url: DatabaseURL) -> str:
    """One line on what is wrong with this database and what to do. Holds no password."""
    place = str(url.path) if url.kind == "sqlite" else _server(url)
    words = str(getattr(error, "orig", None) or error)
    for part, explanation in EXPLANATIONS:
        if part.lower() in words.lower():
            return explanation.format(place=place, user=url.url.username, name=url.url.database)
    if isinstance(error, TimeoutError | PoolTimeoutError) or "timeout" in words.lower():
        return f"{place} does not answer in time. Is the database running, and may this machine reach it?"
    return f"The database at {place} cannot be used ({type(error).__name__}). Check DATABASE_URL."


def is_wrong_statement(error: BaseException) -> bool:
    """Whether the database refused the statement itself, say for a column that a model has and its table has not.

    SQLite's driver calls that operational, like a database that is away.
    """
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    return (isinstance(error, ProgrammingError) or code == sqlite3.SQLITE_ERROR) and not lacks_table(error)


def _server(url: DatabaseURL) -> str:
    host = url.url.host or url.url.query.get("host") or "localhost"
    return f"{host}:{url.url.port or url.url.query.get('port') or 5432}"
