"""Examine all configured databases without changing them. Reports contain no secrets."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version

import psycopg
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from opportune.config.settings import Settings
from opportune.contrib.doctor.examination import (
    Diagnosis,
    DoctorContext,
    Finding,
    Role,
    ServerContext,
    fault,
    fault_from_message,
    milliseconds_since,
    notice,
    ok,
)
from opportune.contrib.doctor.file import examine_file
from opportune.contrib.doctor.growth import examine_growth
from opportune.contrib.doctor.server import CHECKS
from opportune.db.drivers.pool import read_password_on_connect
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.errors import UNAVAILABLE, explain
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.formats import Pooled
from opportune.db.url.replicas import parse_replicas
from opportune.project.installed import installed_features

SERVER_TIMEOUT_SECONDS = 8
"""Time limit for all checks of a server."""
GROWTH_TIMEOUT_SECONDS = 8
"""Time limit for the examination of large tables."""
SLOW_STATEMENT_MS = 20
"""Round trip from which the database is probably in another region."""
SYNCHRONOUS_FULL = 2
"""SQLite's value of `PRAGMA synchronous` for FULL."""


async def diagnose(context: DoctorContext) -> list[Diagnosis]:
    """Examine the configured databases concurrently, in at most 20 seconds."""
    urls = [(role, url) for role in Role for url in _parse_urls(role, context)]
    return list(await asyncio.gather(*(_diagnose(url, role, context) for role, url in urls)))


def _parse_urls(role: Role, context: DoctorContext) -> list[DatabaseUrl]:
    url: str = getattr(context.settings, role.value.lower()).get_secret_value()
    if role is Role.READER:
        return [replica.url for replica in parse_replicas(url, context.settings.database_pooled)]
    pooled: Pooled = "auto" if role is Role.DIRECT else context.settings.database_pooled
    name = context.name if role is Role.WRITER else role.value
    return [DatabaseUrl.parse(url, pooled, name)] if url or role is Role.WRITER else []


async def _diagnose(url: DatabaseUrl, role: Role, context: DoctorContext) -> Diagnosis:
    findings = list(_describe_url(url, role, context.settings))
    if url.kind == "postgresql":
        await _examine_server(url, role, context, findings)
    else:
        await _examine_file(url, context, findings)
    return Diagnosis(url, tuple(findings))


def _describe_url(url: DatabaseUrl, role: Role, settings: Settings) -> Iterator[Finding]:
    if url.kind == "postgresql":
        path = "through a pooler" if url.pooled else "no pooler detected"
        system = f"{url.provider or 'PostgreSQL'}, {path}"
        driver = f"psycopg {version('psycopg')} ({psycopg.pq.__impl__})"
    else:
        system = "SQLite file" if url.kind == "sqlite" else "SQLite file, loaded into memory"
        driver = f"aiosqlite {version('aiosqlite')}"
    yield ok("url", f"{system}; driver {driver}", provider=url.provider, pooled=url.pooled, driver=driver)
    yield from (notice("url", line) for line in url.notices)
    if role is Role.DIRECT and url.pooled:
        yield notice("url", "this is a pooler", "Use the direct URL that your provider shows.")
    if role is Role.WRITER and url.direct and not settings.database_direct_url.get_secret_value():
        yield notice("url", "migrations run through the pooler", f"Set DATABASE_DIRECT_URL to {url.direct}.")


async def _examine_file(url: DatabaseUrl, context: DoctorContext, findings: list[Finding]) -> None:
    graph = await asyncio.to_thread(context.graph)
    findings += await asyncio.to_thread(lambda: list(examine_file(url, graph)))
    journal = next((finding.values["mode"] for finding in findings if finding.check == "journal"), "")
    if journal == "wal":  # opening the site's database would switch to WAL, and the doctor changes nothing
        findings.append(await _open_like_site(context))
        findings += await _examine_growth(context)


async def _open_like_site(context: DoctorContext) -> Finding:
    database = open_database(context.settings)
    times = []
    values = []
    try:
        for pragma in ("synchronous", "foreign_keys"):
            start = time.perf_counter()
            async with database.reader() as session:
                values.append(await session.scalar(text(f"PRAGMA {pragma}")))
            times.append(milliseconds_since(start))
    except UNAVAILABLE as error:
        return fault_from_message("connect", explain(error, database.url))
    finally:
        await database.dispose()
    message = f"first connection {times[0]} ms, next statement {times[1]} ms"
    if values != [SYNCHRONOUS_FULL, 1]:
        fix = "configure_sqlite in opportune/db/drivers/sqlite.py sets both."
        return fault("connect", f"{message}; synchronous={values[0]}, foreign_keys={values[1]}", fix)
    message += "; synchronous=FULL, foreign keys on"
    return ok("connect", message, cold_milliseconds=times[0], statement_milliseconds=times[1])


async def _examine_growth(context: DoctorContext) -> list[Finding]:
    try:
        async with asyncio.timeout(GROWTH_TIMEOUT_SECONDS):
            return await examine_growth(context.settings, installed_features())
    except (DBAPIError, OSError) as error:  # such as missing migrations, which another check reports
        return [notice("lists", f"unknown: they could not be examined ({type(error).__name__})")]


async def _examine_server(url: DatabaseUrl, role: Role, context: DoctorContext, findings: list[Finding]) -> None:
    engine = _create_engine(url)
    try:
        async with asyncio.timeout(SERVER_TIMEOUT_SECONDS):
            cold_ms = await _measure_cold_connect(engine)
            start = time.perf_counter()
            async with engine.connect() as connection:
                server = ServerContext(url, role, engine, connection, context)
                findings.append(await _check_latency(server, cold_ms, milliseconds_since(start)))
                await _run_checks(server, findings)
            if role is Role.WRITER:
                findings += await _examine_growth(context)
    except (DBAPIError, OSError) as error:  # TimeoutError is an OSError
        findings.append(fault_from_message("connect", explain(error, url)))
    finally:
        await engine.dispose()


def _create_engine(url: DatabaseUrl) -> AsyncEngine:
    connect = partial(TimedConnection.connect_with_retry, statement_timeout_seconds=SERVER_TIMEOUT_SECONDS)
    arguments = {**url.arguments, "async_creator_fn": connect}
    engine = create_async_engine(url.url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)
    read_password_on_connect(engine.sync_engine, url, is_async=True)
    return engine


async def _measure_cold_connect(engine: AsyncEngine) -> float:
    start = time.perf_counter()
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return milliseconds_since(start)


async def _check_latency(server: ServerContext, cold_ms: float, warm_ms: float) -> Finding:
    durations_ms = []
    for _ in range(3):
        start = time.perf_counter()
        await server.row("SELECT 1")
        durations_ms.append(milliseconds_since(start))
    statement_ms = min(durations_ms)
    message = f"first connection {cold_ms} ms, second connection {warm_ms} ms, statement {statement_ms} ms"
    values = {"cold_milliseconds": cold_ms, "warm_milliseconds": warm_ms, "statement_milliseconds": statement_ms}
    if statement_ms > SLOW_STATEMENT_MS:
        return notice("connect", message, "Slow network: run the site in the region of its database.", **values)
    return ok("connect", message, **values)


async def _run_checks(server: ServerContext, findings: list[Finding]) -> None:
    for name, (check, roles) in CHECKS.items():
        if server.role in roles:
            try:
                findings.append(await check(server))
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                findings.append(_refused_check(name, error.orig))
            except psycopg.Error as error:  # from a connection that the check opened itself
                findings.append(_refused_check(name, error))
            await server.connection.rollback()


def _refused_check(name: str, error: BaseException | None) -> Finding:
    return notice(name, f"unknown: the server refuses this check ({type(error).__name__})")
