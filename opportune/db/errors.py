"""One-line explanations of database driver errors."""

import asyncio
import errno
import re
import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from opportune.db.url.database_url import DatabaseUrl
from opportune.project.current import OPPMAN

DATABASE_ERRORS = (DBAPIError, PoolTimeoutError)
"""Errors of SQLAlchemy for a statement or a connection."""
UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""Errors of a database that is down, full, locked or unreachable. The request is not at fault, and a retry may
succeed."""

# psycopg raises other classes for these: 25006 read-only, 25P03 idle transaction timeout.
UNAVAILABLE_SQLSTATES = {"25006", "25P03"}
REFUSED_STATEMENTS = ("0A", "21", "22", "23", "42", "54")
"""Classes of SQLSTATE for statements and values that PostgreSQL does not accept."""
TWO_RESULTS = "results from command"
"""Part of psycopg's message if PgBouncer reports twice that it has lost the server."""
MAY_BE_COMMITTED = "The changes of the transaction may have been stored."
"""Note of errors that interrupt a commit or follow it."""
DAMAGED_FILE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
FULL_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Disk full, quota exceeded, or file larger than the limit of this process (ulimit -f)."""
FULL_DISK_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
"""The second one comes from the first connection to a database on a full disk, whose -shm file cannot grow."""

REFUSED_CONNECTION = re.compile(r"FATAL: +(.+)")
"""The reason that a server or a pooler gives, which contains no password."""

TABLE_MISSING = f"A table is missing in {{place}}. Run: {OPPMAN} migrate"

# Fragments of the driver's message as a regular expression, and our explanation.
# `{place}` is the file or host, and `{setting}` holds the URL.
EXPLANATIONS = {
    'no such table|relation ".*" does not exist': TABLE_MISSING,
    "QueuePool limit": (
        "All connections to {place} are in use: some are held for too long, or DATABASE_POOL_SIZE is too small."
    ),
    "unable to open database file": "SQLite cannot open {place}. Does its folder exist, and is it writable?",
    "readonly database": (
        "{place} cannot be written. Give this user write access to the file and its folder. On a read-only disk, "
        "set {setting} to PostgreSQL, or copy the file elsewhere. In code, write in a WriteSession."
    ),
    "read-only transaction": (
        "{place} refuses writes: it is a replica, its provider has stopped writes (is its disk full?), or the "
        "session is a reader."
    ),
    "file is not a database": "{place} is not a SQLite database. Set {setting} to another file.",
    "malformed": "{place} is damaged. Restore a backup.",
    "is locked": "{place} is locked by another process. Stop it or wait, then try again.",
    "database or disk is full|No space left on device": "The disk of {place} is full. Free some space, then try again.",
    "disk I/O error": "The disk of {place} fails to read or write. Check the system log and ulimit -f.",
    "too many clients|remaining connection slots|too many connections|no more connections allowed|max clients": (
        "{place} has no free connection. Lower DATABASE_POOL_SIZE, close other clients, or use your provider's pooler."
    ),
    "password auth|SASL auth": "{place} refuses the password of user '{user}'. Check {setting}.",
    "no password supplied": "{place} requires a password for user '{user}'. Add it to {setting}.",
    'role ".*" does not exist': "{place} has no user '{user}'. Check {setting}.",
    "Tenant or user not found": "The pooler at {place} has no user '{user}'. Copy the pooler's connection string.",
    'database ".*" does not exist': "{place} has no database '{name}'. Create it, or check {setting}.",
    "SSL negotiation": "The server at {place} is not PostgreSQL. Check host and port in {setting}.",
    "does not support SSL": (
        "{place} does not support TLS, which the URL requires. Use sslmode=disable or another server."
    ),
    "certificate": "The TLS certificate of {place} cannot be verified. Check sslmode and sslrootcert in {setting}.",
    "pg_hba.conf": "{place} refuses connections of user '{user}' from this host. Try sslmode=require in {setting}.",
    "SSL required": "{place} requires TLS. Add sslmode=require to {setting}.",
    "Connection refused|No such file or directory": (
        "No server responds at {place}. Is the database running, and is {setting} correct?"
    ),
    "unreachable|No route to host": "This machine cannot reach {place}. Check its network and {setting}. {advice}",
    "resolve|Name or service not known": "The host of {place} is unknown. Check {setting}. {advice}",
    "starting up|shutting down|not yet accepting connections|recovery mode": (
        "{place} is starting, stopping or recovering. Try again in a moment."
    ),
    "query_wait_timeout|server login": (
        "The pooler at {place} cannot connect to its database. Is it running, and is the pool large enough?"
    ),
    (
        "terminating connection|closed the connection|connection is closed|socket closed|SSL connection has been closed"
        f"|Connection reset|Broken pipe|server conn crashed|unexpected eof|{TWO_RESULTS}"
    ): "{place} closed the connection. It may be restarting, or a proxy may drop connections.",
    "statement timeout": "A statement took longer than DATABASE_STATEMENT_TIMEOUT, or a timeout of {place}, allows.",
    "lock timeout": "Another transaction on {place} held a lock for too long. Try again.",
    "deadlock detected|could not serialize access": (
        "Two transactions on {place} needed the same rows, and one was cancelled. Try again."
    ),
    "password cannot be read": (
        "The password of {place} cannot be read. Check password_file or password_from in {setting}."
    ),
    "bad value for": "An option in {setting} has a value that libpq does not accept.",
    "invalid connection option": "{setting} has an option that libpq does not know.",
    "timeout|server is silent": (
        "{place} does not respond in time. Is the database running, and may this machine connect to it? {advice}"
    ),
}


def explain(error: BaseException, url: DatabaseUrl) -> str:
    """Return the error of the database and its solution in one line, without passwords."""
    message = str(getattr(error, "orig", None) or error)
    if isinstance(error, TimeoutError) and not message:
        message = "timeout"
    elif is_full(error):
        message = "database or disk is full"
    for fragments, explanation in EXPLANATIONS.items():
        if re.search(fragments, message, re.IGNORECASE):
            return explanation.format(
                place=url.server,
                user=url.url.username or "",
                name=url.database,
                setting=url.name,
                advice=url.advice_if_unreachable,
            ).strip()
    if is_refused_statement(error):
        return f"The database at {url.server} refuses a statement: {next(iter(message.splitlines()), '')}."
    reason = REFUSED_CONNECTION.search(message)
    cause = reason[1] if reason else type(error).__name__
    return f"The database at {url.server} cannot be used ({cause}). Check {url.name}."


def is_refused_statement(error: BaseException) -> bool:
    """Return whether the statement is wrong, so that the URL need not be checked."""
    driver = getattr(error, "orig", None) or error
    code = getattr(driver, "sqlite_errorcode", None)
    state = getattr(driver, "sqlstate", None)
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT) or (state or "").startswith(REFUSED_STATEMENTS)


def is_outage(error: BaseException) -> bool:
    """Return whether the database is unreachable, full, locked, damaged or not migrated.

    Other errors mean that the statement is wrong, also if SQLite reports them as OperationalError.
    """
    driver = getattr(error, "orig", None)
    code: int | None = getattr(driver, "sqlite_errorcode", None)
    state = getattr(driver, "sqlstate", None)
    if lacks_table(error) or state in UNAVAILABLE_SQLSTATES or TWO_RESULTS in str(driver):
        return True
    if code is not None and code & 0xFF in DAMAGED_FILE_CODES:
        return True
    return isinstance(error, UNAVAILABLE) and not is_refused_statement(error)


def is_full(error: BaseException) -> bool:
    """Return whether the disk of the database or of a file is full."""
    if isinstance(error, OSError):
        return error.errno in FULL_DISK_ERRNOS
    driver = getattr(error, "orig", None) or error
    return getattr(driver, "sqlite_errorcode", None) in FULL_DISK_CODES or getattr(driver, "sqlstate", "") == "53100"


def lacks_table(error: BaseException) -> bool:
    """Return whether a table is missing because migrations were not applied."""
    driver = getattr(error, "orig", None)
    return getattr(driver, "sqlstate", None) == "42P01" or "no such table" in str(driver)


def is_unknown_commit(error: BaseException) -> bool:
    """Return whether the database may have carried out a commit that raised this error."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, asyncio.CancelledError | TimeoutError)
    if getattr(error.orig, "sqlite_errorcode", None):
        return False
    return error.connection_invalidated or not getattr(error.orig, "sqlstate", None)


def may_be_committed(error: BaseException) -> bool:
    """Return whether an error or its cause has interrupted a commit, or was raised after one."""
    errors = (error, error.__cause__)  # a cause may be the error itself
    return any(MAY_BE_COMMITTED in getattr(error, "__notes__", ()) for error in errors)
