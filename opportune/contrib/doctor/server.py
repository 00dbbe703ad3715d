"""Checks of a PostgreSQL server, listed in `CHECKS` at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from opportune.contrib.doctor.examination import Finding, Role, ServerContext, compare_migrations, fault, notice, ok
from opportune.contrib.doctor.prepared_statements import check_prepared
from opportune.contrib.doctor.tls import check_tls
from opportune.db.bus.factory import bus_kind
from opportune.db.drivers.replica import LAG_QUERY, measure_lag
from opportune.db.migrations.history import read_revisions
from opportune.plurals import pluralize
from opportune.services.clock import MAX_DIFFERENCE_SECONDS

MIN_SERVER_VERSION = 13
EXTENSIONS = ("pg_trgm", "vector", "unaccent", "citext")
MAX_CLOCK_DRIFT_SECONDS = 60
"""Difference above which programs that use the clock of the machine fail, such as checks of certificates."""

SERVER = """
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding
"""
PERMISSIONS = """
SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') = 'on' AS is_read_only,
       current_schema() AS schema, current_user AS name
"""
AVAILABLE_EXTENSIONS = "SELECT name, installed_version FROM pg_available_extensions WHERE name = ANY(:names)"
CONNECTION_LIMITS = """
SELECT current_setting('max_connections')::int AS largest,
       current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit
"""


async def check_server(server: ServerContext) -> Finding:
    row = await server.row(SERVER)
    message = f"PostgreSQL {row.version}, {row.encoding}"
    values = {"version": row.version, "encoding": row.encoding}
    if row.major < MIN_SERVER_VERSION:
        return fault("server", message, f"Use PostgreSQL {MIN_SERVER_VERSION} or newer.", **values)
    if row.encoding != "UTF8":
        fix = "Create the database again with ENCODING 'UTF8' TEMPLATE template0: this one cannot store all characters."
        return fault("server", message, fix, **values)
    return ok("server", message, **values)


async def check_writes(server: ServerContext) -> Finding:
    row = await server.row(PERMISSIONS)
    if row.is_replica:
        fix = "Set DATABASE_URL to the primary server and DATABASE_READER_URL to the replica."
        return fault("writes", "refused: this server is a replica", fix, possible=False)
    if row.is_read_only:
        fix = f"Run: ALTER ROLE {row.name} SET default_transaction_read_only = off. Hosts set it on a full disk."
        return fault("writes", "refused: transactions are read-only", fix, possible=False)
    if row.schema is None:
        fix = f"Run: CREATE SCHEMA AUTHORIZATION {row.name}"
        return fault("writes", "refused: no schema of the search_path exists", fix, possible=False)
    return await _try_to_write(server, f"As its owner, run: GRANT CREATE ON SCHEMA {row.schema} TO {row.name}")


async def _try_to_write(server: ServerContext, fix: str) -> Finding:
    table = f"opportune_doctor_{uuid4().hex}"
    try:
        for statement in (
            "SET LOCAL statement_timeout = '3s'",
            f"CREATE TABLE {table} (id integer)",
            f"INSERT INTO {table} VALUES (1)",
        ):
            await server.connection.execute(text(statement))
    except DBAPIError as error:
        if not _is_denied(error):
            raise
        message = "this user may not create tables"
        if server.role is Role.WRITER and server.doctor.settings.database_direct_url.get_secret_value():
            return notice("writes", f"{message}, so the user of DATABASE_DIRECT_URL must", possible=False)
        return fault("writes", f"{message}, as migrations do", fix, possible=False)
    return ok("writes", "possible: test table created and rolled back", possible=True)


async def check_replica(server: ServerContext) -> Finding:
    row = (await server.connection.execute(LAG_QUERY)).one()
    if not row.is_replica:
        message = "this server is no replica: it must have the same data as DATABASE_URL"
        return notice("replica", message, "Leave DATABASE_READER_URL empty if it is the same server.", is_replica=False)
    seconds = round(measure_lag(row) or 0.0, 1)
    limit = server.doctor.settings.database_replica_lag
    message = f"lags {seconds} s behind"
    values = {"is_replica": True, "lag_seconds": seconds}
    if seconds <= limit:
        return ok("replica", message, **values)
    lost = "" if row.is_connected else ", because it has no connection to its primary"
    fix = f"It is not read while the lag exceeds DATABASE_REPLICA_LAG ({limit:g} s). Check its server and network."
    return fault("replica", f"{message}{lost}", fix, **values)


async def check_clock(server: ServerContext) -> Finding:
    local_time = datetime.now(UTC)
    start = time.perf_counter()
    row = await server.row("SELECT clock_timestamp() AS now")
    duration = time.perf_counter() - start
    seconds = round((row.now - local_time).total_seconds() - duration / 2, 1)
    message = f"differs by {abs(seconds)} s from this machine's"
    values = {"difference_seconds": seconds}
    if abs(seconds) <= MAX_DIFFERENCE_SECONDS + duration:
        return ok("clock", message, **values)
    fix = "Synchronize both clocks with NTP. Until then, the site uses the time of the database."
    report = fault if abs(seconds) > MAX_CLOCK_DRIFT_SECONDS else notice
    return report("clock", message, fix, **values)


async def check_extensions(server: ServerContext) -> Finding:
    rows = await server.connection.execute(text(AVAILABLE_EXTENSIONS), {"names": list(EXTENSIONS)})
    versions = {row.name: row.installed_version for row in rows}
    states = dict.fromkeys(EXTENSIONS, "absent")
    for name, version in versions.items():
        states[name] = f"installed {version}" if version else "available"
    return ok("extensions", ", ".join(f"{name} {state}" for name, state in states.items()), **states)


async def check_migrations(server: ServerContext) -> Finding:
    try:
        rows = await server.connection.run_sync(read_revisions)
    except DBAPIError as error:
        if not _is_denied(error):
            raise
        fix = "As their owner, run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO …"
        return fault("migrations", "this user may not read the tables", fix)
    return compare_migrations(await asyncio.to_thread(server.doctor.graph), rows)


async def check_connections(server: ServerContext) -> Finding:
    row = await server.row(CONNECTION_LIMITS)
    limits = [row.largest - row.reserved, *(limit for limit in (row.role_limit, row.database_limit) if limit >= 0)]
    limit = min(limits)
    per_process = sum(server.doctor.settings.pool_size) * _pools(server) + _listeners(server)
    needed = per_process * server.doctor.processes
    processes = pluralize(server.doctor.processes, "process", "processes")
    message = f"{processes} of the site may open {needed}; the server allows {limit}, of which {row.used} are in use"
    values = {"needed": needed, "limit": limit, "used": row.used, "processes": server.doctor.processes}
    if server.url.pooled:
        return ok("connections", f"{message}; the pooler shares them", **values)
    fix = _suggest_sizes(server, limit)
    if needed > limit:
        return fault("connections", message, fix, **values)
    if needed > limit - row.used:
        return notice("connections", message, fix, **values)
    return ok("connections", message, **values)


def _suggest_sizes(server: ServerContext, limit: int) -> str:
    """Return how to open fewer connections than the server allows."""
    size = (limit // server.doctor.processes - _listeners(server)) // _pools(server)
    if size < 1:
        return "Run fewer processes, or use a pooler."
    overflow = size // 2
    sizes = f"DATABASE_POOL_SIZE={size - overflow} and DATABASE_MAX_OVERFLOW={overflow}"
    return f"Set {sizes}, run fewer processes, or use a pooler."


def _pools(server: ServerContext) -> int:
    return 1 if server.role is Role.READER else 2  # writes, and reads while a replica is unavailable


def _listeners(server: ServerContext) -> int:
    """Return the number of connections of a process that wait for messages of other processes."""
    return int(server.role is Role.WRITER and bus_kind(server.doctor.settings) == "postgresql")


def _is_denied(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42501"


Check = Callable[[ServerContext], Awaitable[Finding]]
ALL_ROLES = {*Role}

CHECKS: dict[str, tuple[Check, set[Role]]] = {
    "server": (check_server, ALL_ROLES),
    "tls": (check_tls, ALL_ROLES),
    "prepared": (check_prepared, {Role.WRITER, Role.READER}),
    "writes": (check_writes, {Role.WRITER, Role.DIRECT}),
    "replica": (check_replica, {Role.READER}),
    "clock": (check_clock, {Role.WRITER, Role.READER}),
    "extensions": (check_extensions, {Role.WRITER}),
    "migrations": (check_migrations, ALL_ROLES),
    "connections": (check_connections, {Role.WRITER, Role.READER}),
}
"""Checks by name, with the roles they apply to."""
