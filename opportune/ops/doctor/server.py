"""What is asked of a PostgreSQL server once it answers: one function each, named as in the table at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from opportune.db.migrations.history import recorded_revisions
from opportune.ops.doctor.context import Role, ServerContext
from opportune.ops.doctor.prepared_statements import Trial, try_prepared
from opportune.ops.doctor.results import Finding, fault, notice, ok
from opportune.ops.doctor.schema import compare
from opportune.ops.doctor.tls import Handshake, shake_hands
from opportune.runtime.counts import counted

MIN_SERVER_VERSION = 13
EXTENSIONS = ("pg_trgm", "vector", "unaccent", "citext")
MAX_CLOCK_DRIFT_SECONDS = 60  # seconds: from here on links and tokens expire early, or too late
CERTIFICATE_WARNING_DAYS = 14  # days

SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding
"""
RIGHTS = """
SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') = 'on' AS is_read_only,
       current_schema() AS schema, current_user AS name
"""
REPLICATION = """
SELECT pg_is_in_recovery() AS is_replica,
       extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float AS seconds,
       pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() AS is_level
"""
AVAILABLE = "SELECT name, installed_version FROM pg_available_extensions WHERE name = ANY(:names)"
CONNECTION_LIMITS = """
SELECT current_setting('max_connections')::int AS largest,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS of_role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database
"""


async def check_server(subject: ServerContext) -> Finding:
    row = await subject.row(SERVER)
    words = f"PostgreSQL {row.version}, {row.encoding}"
    values = {"version": row.version, "encoding": row.encoding}
    if row.major < MIN_SERVER_VERSION:
        return fault("server", words, f"Use PostgreSQL {MIN_SERVER_VERSION} or newer.", **values)
    if row.encoding != "UTF8":
        fix = "Create the database again with ENCODING 'UTF8' TEMPLATE template0: this one cannot hold every text."
        return fault("server", words, fix, **values)
    return ok("server", words, **values)


async def check_tls(subject: ServerContext) -> Finding:
    driver = await subject.driver()
    mode = str(subject.url.url.query.get("sslmode", "prefer"))
    if not driver.pgconn.ssl_in_use:
        return _without_tls(mode, is_near=subject.url.is_local)
    try:
        handshake = await shake_hands(driver.info.host, driver.info.port)
    except (OSError, EOFError, ValueError):  # the server lets us in nevertheless: it speaks to libpq alone
        return ok("tls", f"in use (sslmode={mode})", in_use=True, sslmode=mode)
    return _with_tls(mode, handshake)


def _without_tls(mode: str, *, is_near: bool) -> Finding:
    if is_near:
        return ok("tls", "none, and none needed so near", in_use=False, sslmode=mode)
    words = "none: password and rows travel in the open"
    return notice(
        "tls", words, "Write sslmode=require into the URL, unless the network is private.", in_use=False, sslmode=mode
    )


def _with_tls(mode: str, handshake: Handshake) -> Finding:
    who = handshake.subject or "no name"
    words = f"{handshake.version}, certificate of {who} until {handshake.expires:%Y-%m-%d}"
    values = {
        "in_use": True,
        "sslmode": mode,
        "version": handshake.version,
        "subject": handshake.subject,
        "expires": handshake.expires.isoformat(),
        "trusted": not handshake.distrust,
    }
    if handshake.days_left < CERTIFICATE_WARNING_DAYS:
        return notice("tls", words, "Renew the certificate: verifying clients refuse it then.", **values)
    if mode.startswith("verify"):
        return ok("tls", f"{words}, verified ({mode})", **values)
    if handshake.distrust:
        return ok("tls", f"{words}, not verified (sslmode={mode}; here: {handshake.distrust})", **values)
    fix = "This machine trusts the certificate: sslmode=verify-full&sslrootcert=system would also verify it."
    return ok("tls", f"{words}, not verified (sslmode={mode}). {fix}", **values)


async def check_prepared(subject: ServerContext) -> Finding:
    trial = await try_prepared(subject.engine)
    values = {"survive": not trial.lost, "swapped": trial.swapped, "used": subject.url.prepares}
    if trial.lost and subject.url.prepares:
        words = "lost between transactions: a pooler is in front, and DATABASE_POOLED=false says there is none"
        return fault("prepared", words, "Remove DATABASE_POOLED=false.", **values)
    return ok("prepared", f"{_outcome(trial)}; {_use(subject)}", **values)


def _outcome(trial: Trial) -> str:
    if trial.lost:
        return "do not survive a transaction: a pooler shares the server's connections"
    if trial.swapped:
        return "survive, though a pooler shares the server's connections"
    return "survive from one transaction to the next"


def _use(subject: ServerContext) -> str:
    return "the site uses them (DATABASE_POOLED=false)" if subject.url.prepares else "the site does not need them"


async def check_writes(subject: ServerContext) -> Finding:
    row = await subject.row(RIGHTS)
    if row.is_replica:
        fix = "Set DATABASE_URL to the primary server; a replica belongs in DATABASE_READER_URL."
        return fault("writes", "refused: this server is a replica", fix, possible=False)
    if row.is_read_only:
        fix = (
            f"Mend it: ALTER ROLE {row.name} SET default_transaction_read_only = off. Some hosts set it on a full disk."
        )
        return fault("writes", "refused: transactions are read-only here", fix, possible=False)
    if row.schema is None:
        fix = f"Create one: CREATE SCHEMA AUTHORIZATION {row.name}"
        return fault("writes", "refused: the search_path names no schema that is there", fix, possible=False)
    return await _try_to_write(subject, f"Its owner grants it: GRANT CREATE ON SCHEMA {row.schema} TO {row.name}")


async def _try_to_write(subject: ServerContext, fix: str) -> Finding:
    table = f"opportune_doctor_{uuid4().hex}"
    try:
        for statement in (
            "SET LOCAL statement_timeout = '3s'",
            f"CREATE TABLE {table} (id integer)",
            f"INSERT INTO {table} VALUES (1)",
        ):
            await subject.connection.execute(text(statement))
    except DBAPIError as error:
        if not _is_denied(error):
            raise
        return _without_tables(subject, fix)
    return ok("writes", "a table was made and filled, and taken back", possible=True)


def _without_tables(subject: ServerContext, fix: str) -> Finding:
    words = "this user may not create tables"
    if subject.role is Role.WRITER and subject.circumstances.settings.database_direct_url.get_secret_value():
        return notice("writes", f"{words}, so the one of DATABASE_DIRECT_URL must", possible=False)
    return fault("writes", f"{words}, which migrations need", fix, possible=False)


async def check_replica(subject: ServerContext) -> Finding:
    row = await subject.row(REPLICATION)
    if not row.is_replica:
        words = "no replica: it takes writes itself, and must hold the same data as DATABASE_URL"
        return notice("replica", words, "Leave DATABASE_READER_URL empty if it is the same server.", is_replica=False)
    seconds = 0.0 if row.is_level else round(row.seconds or 0.0, 1)
    return ok("replica", f"it lags {seconds} s behind", is_replica=True, lag_seconds=seconds)


async def check_clock(subject: ServerContext) -> Finding:
    before, started = datetime.now(UTC), time.perf_counter()
    row = await subject.row("SELECT clock_timestamp() AS now, current_setting('TimeZone') AS zone")
    took = time.perf_counter() - started
    seconds = round((row.now - before).total_seconds() - took / 2, 1)
    words = f"{abs(seconds)} s from this machine's; time zone {row.zone} (the site keeps times in UTC)"
    values = {"difference_seconds": seconds, "time_zone": row.zone}
    if abs(seconds) >= MAX_CLOCK_DRIFT_SECONDS:
        return fault("clock", words, "Set both clocks by NTP: sessions and links would expire wrongly.", **values)
    if abs(seconds) > max(2, took):
        return notice("clock", words, "Set both clocks by NTP.", **values)
    return ok("clock", words, **values)


async def check_extensions(subject: ServerContext) -> Finding:
    rows = await subject.connection.execute(text(AVAILABLE), {"names": list(EXTENSIONS)})
    versions = {row.name: row.installed_version for row in rows}
    states = {
        name: f"installed {versions[name]}" if versions.get(name) else "available" if name in versions else "absent"
        for name in EXTENSIONS
    }
    return ok("extensions", ", ".join(f"{name} {state}" for name, state in states.items()), **states)


async def check_migrations(subject: ServerContext) -> Finding:
    try:
        rows = await subject.connection.run_sync(recorded_revisions)
    except DBAPIError as error:
        if not _is_denied(error):
            raise
        fix = "Their owner grants it: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO …"
        return fault("migrations", "this user may not read the tables", fix)
    return compare(await asyncio.to_thread(subject.circumstances.graph), rows)


async def check_connections(subject: ServerContext) -> Finding:
    row = await subject.row(CONNECTION_LIMITS)
    limits = [row.largest - row.reserved, *(limit for limit in (row.of_role, row.of_database) if limit >= 0)]
    limit, needed = min(limits), _needed(subject)
    processes = counted(subject.circumstances.processes, "process", "processes")
    words = f"{processes} of the site may open {needed}; the server lets {limit} in and has {row.used}"
    values = {"needed": needed, "limit": limit, "used": row.used, "processes": subject.circumstances.processes}
    if subject.url.pooled:
        return ok("connections", f"{words}; the pooler in front shares them", **values)
    fix = "Lower DATABASE_POOL_SIZE and DATABASE_MAX_OVERFLOW, run fewer processes, or put a pooler in front."
    if needed > limit:
        return fault("connections", words, fix, **values)
    if needed > limit - row.used:
        return notice("connections", words, fix, **values)
    return ok("connections", words, **values)


def _needed(subject: ServerContext) -> int:
    settings = subject.circumstances.settings
    pool = settings.database_pool_size + settings.database_max_overflow
    pools = 1 if subject.role is Role.READER else 2  # to write, and to read: a replica may be away
    return pool * pools * subject.circumstances.processes


def _is_denied(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42501"


Check = Callable[[ServerContext], Awaitable[Finding]]

CHECKS: dict[str, tuple[Check, set[Role]]] = {
    "server": (check_server, {Role.WRITER, Role.READER, Role.DIRECT}),
    "tls": (check_tls, {Role.WRITER, Role.READER, Role.DIRECT}),
    "prepared": (check_prepared, {Role.WRITER, Role.READER}),
    "writes": (check_writes, {Role.WRITER, Role.DIRECT}),
    "replica": (check_replica, {Role.READER}),
    "clock": (check_clock, {Role.WRITER, Role.READER}),
    "extensions": (check_extensions, {Role.WRITER}),
    "migrations": (check_migrations, {Role.WRITER, Role.READER, Role.DIRECT}),
    "connections": (check_connections, {Role.WRITER, Role.READER}),
}
"""By its name, each check and for which addresses it is worth asking."""
