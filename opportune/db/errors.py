"""What a driver's error means, in one line for a person."""

import errno
import sqlite3

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opportune.db.url.database_url import DatabaseURL

UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""The database is down, full, locked or out of reach: worth another try later, and no fault of the request."""

# What psycopg files under other names: 25006 nothing can be written, 25P03 a transaction was idle for too long.
UNAVAILABLE_SQLSTATES = {"25006", "25P03"}
DAMAGED_FILE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
FULL_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk is full, a quota is used up, or a file may not grow any further."""

MIGRATE = "{place} lacks a table. Run: python3 oppman.py migrate"
DISK_FULL = "The disk of {place} is full. Free some space, then try again."
CONNECTION_LOST = "{place} has cut the connection: it restarts, or something on the way does not keep connections."
TOO_MANY_CONNECTIONS = (
    "{place} has no free connection. Lower DATABASE_POOL_SIZE, end other clients, or use your provider's pooler."
)
CONNECTION_REFUSED = "Nothing answers at {place}. Is the database running, and is {setting} right?"
RESTARTING = "{place} is starting, stopping or recovering. Try again in a moment."
UNREACHABLE = "This machine cannot reach {place}. Check its network and {setting}. {advice}"
UNKNOWN_HOST = "The host of {place} is unknown. Check {setting}. {advice}"
TIMED_OUT = "{place} does not answer in time. Is the database running, and may this machine reach it? {advice}"
TRANSACTION_CONFLICT = "Two transactions on {place} wanted the same rows and one had to give way. Try again."
POOLER_UNCONNECTED = (
    "The pooler at {place} gets no connection to its database. Is that running, and is its pool large enough?"
)

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
        "{place} cannot be written: file, folder or disk are read-only, or the session only reads. "
        "On a host whose disk is read-only use PostgreSQL: set {setting}. To look into such a file, copy it elsewhere.",
    ),
    (
        "read-only transaction",
        "{place} refuses to write: it is a replica, or its provider has stopped writes (is its disk full?), "
        "or the session only reads.",
    ),
    ("file is not a database", "{place} is not a SQLite database. Set {setting} to another file."),
    ("malformed", "{place} is damaged. Restore a backup."),
    ("is locked", "{place} is locked by another process: end it or wait, then try again."),
    ("database or disk is full", DISK_FULL),
    ("No space left on device", DISK_FULL),
    ("disk I/O error", "The disk of {place} fails to read or write. Look at the system's log."),
    ("too many clients", TOO_MANY_CONNECTIONS),
    ("remaining connection slots", TOO_MANY_CONNECTIONS),
    ("too many connections", TOO_MANY_CONNECTIONS),
    ("no more connections allowed", TOO_MANY_CONNECTIONS),
    ("max clients", TOO_MANY_CONNECTIONS),
    ("password authentication failed", "{place} refuses the password of user '{user}'. Check {setting}."),
    ("no password supplied", "{place} wants a password for user '{user}'. Add it to {setting}."),
    ('role "', "{place} knows no user '{user}'. Check {setting}."),
    ("Tenant or user not found", "The pooler at {place} knows no user '{user}'. Copy the pooler's own string."),
    ("does not exist", "{place} has no database '{name}'. Create it, or check {setting}."),
    ("SSL negotiation", "What answers at {place} is no PostgreSQL server. Check host and port in {setting}."),
    (
        "does not support SSL",
        "{place} does not offer TLS, which the URL asks for. Use sslmode=disable or another server.",
    ),
    (
        "certificate",
        "The TLS certificate of {place} cannot be verified. Check sslmode and sslrootcert in {setting}.",
    ),
    ("pg_hba.conf", "{place} does not let user '{user}' in from here. Try sslmode=require in {setting}."),
    ("SSL required", "{place} talks only over TLS. Add sslmode=require to {setting}."),
    ("Connection refused", CONNECTION_REFUSED),
    ("No such file or directory", CONNECTION_REFUSED),
    ("unreachable", UNREACHABLE),
    ("No route to host", UNREACHABLE),
    ("resolve", UNKNOWN_HOST),
    ("Name or service not known", UNKNOWN_HOST),
    ("starting up", RESTARTING),
    ("shutting down", RESTARTING),
    ("not yet accepting connections", RESTARTING),
    ("recovery mode", RESTARTING),
    ("query_wait_timeout", POOLER_UNCONNECTED),
    ("server login", POOLER_UNCONNECTED),
    ("terminating connection", CONNECTION_LOST),
    ("closed the connection", CONNECTION_LOST),
    ("connection is closed", CONNECTION_LOST),
    ("socket closed", CONNECTION_LOST),
    ("SSL connection has been closed", CONNECTION_LOST),
    ("Connection reset", CONNECTION_LOST),
    ("Broken pipe", CONNECTION_LOST),
    (
        "statement timeout",
        "A statement took longer than DATABASE_STATEMENT_TIMEOUT, or {place} itself, allows.",
    ),
    ("lock timeout", "Another transaction on {place} held for long what this one needs. Try again."),
    ("deadlock detected", TRANSACTION_CONFLICT),
    ("could not serialize access", TRANSACTION_CONFLICT),
    ("bad value for", "{setting} has an option with a value that PostgreSQL's library does not understand."),
    ("invalid connection option", "{setting} has an option that PostgreSQL's library does not know."),
    ("timeout", TIMED_OUT),
    ("server is silent", TIMED_OUT),
)


def explain(error: BaseException, url: DatabaseURL) -> str:
    """One line on what is wrong with this database and what to do. Holds no password."""
    words = str(getattr(error, "orig", None) or error)
    if isinstance(error, TimeoutError) and not words:
        words = "timeout"
    for part, explanation in EXPLANATIONS:
        if part.lower() in words.lower():
            return explanation.format(
                place=url.server,
                user=url.url.username or "",
                name=url.database,
                setting=url.name,
                advice=url.advice_if_unreachable,
            ).strip()
    return f"The database at {url.server} cannot be used ({type(error).__name__}). Check {url.name}."


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, full, locked, damaged or without tables; else a statement of ours is wrong.

    SQLite's driver calls a column that is missing operational, like a database that is away.
    """
    driver = getattr(error, "orig", None)
    code: int | None = getattr(driver, "sqlite_errorcode", None)
    if lacks_table(error) or getattr(driver, "sqlstate", None) in UNAVAILABLE_SQLSTATES:
        return True
    if code is not None and code & 0xFF in DAMAGED_FILE_CODES:
        return True
    return isinstance(error, UNAVAILABLE) and code != sqlite3.SQLITE_ERROR


def is_full(error: BaseException) -> bool:
    """Whether a disk has no room left, that of the database or that of a file."""
    if isinstance(error, OSError):
        return error.errno in FULL_DISK_ERRNOS
    driver = getattr(error, "orig", None)
    return (
        getattr(driver, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(driver, "sqlstate", "") == "53100"
    )


def lacks_table(error: BaseException) -> bool:
    """Whether a table is missing: nothing has been migrated."""
    driver = getattr(error, "orig", None)
    return getattr(driver, "sqlstate", None) == "42P01" or "no such table" in str(driver)
