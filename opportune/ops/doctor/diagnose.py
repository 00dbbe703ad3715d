"""From settings to what there is to say about their databases. Nothing is changed by it, and no secret is in it."""

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
from opportune.db.drivers.psycopg_timeouts import TimedConnection
from opportune.db.errors import UNAVAILABLE, explain
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseURL, Pooled
from opportune.ops.doctor.context import DoctorContext, Role, ServerContext
from opportune.ops.doctor.file import examine_file
from opportune.ops.doctor.results import Diagnosis, Finding, explained, fault, milliseconds_since, notice, ok
from opportune.ops.doctor.server import CHECKS

SERVER_TIMEOUT_SECONDS = 8  # seconds for all that a server is asked
SLOW_STATEMENT_MS = 20  # milliseconds for a statement: not the same region
SYNCHRONOUS_FULL = 2  # SQLite's number for it


async def diagnose(circumstances: DoctorContext) -> list[Diagnosis]:
    """Look at every database that the settings name, all at once, in ten seconds at most.

    Raises:
        OperatorError: one of the addresses is not understood.
    """
    addresses = [(role, url) for role in Role if (url := _address(role, circumstances))]
    return list(await asyncio.gather(*(_diagnose(url, role, circumstances) for role, url in addresses)))


def _address(role: Role, circumstances: DoctorContext) -> DatabaseURL | None:
    settings = circumstances.settings
    address: str = getattr(settings, role.value.lower()).get_secret_value()
    pooled: Pooled = "auto" if role is Role.DIRECT else settings.database_pooled
    name = circumstances.name if role is Role.WRITER else role.value
    return DatabaseURL.parse(address, pooled, name) if address or role is Role.WRITER else None


async def _diagnose(url: DatabaseURL, role: Role, circumstances: DoctorContext) -> Diagnosis:
    found = list(_explain_address(url, role, circumstances.settings))
    if url.kind == "postgresql":
        await _examine_server(url, role, circumstances, found)
    else:
        await _examine_file(url, circumstances, found)
    return Diagnosis(url, tuple(found))


def _explain_address(url: DatabaseURL, role: Role, settings: Settings) -> Iterator[Finding]:
    if url.kind == "postgresql":
        words = f"{url.provider or 'PostgreSQL'}, {'through a pooler' if url.pooled else 'no pooler known'}"
        driver = f"psycopg {version('psycopg')} ({psycopg.pq.__impl__})"
    else:
        words = "a SQLite file" if url.kind == "sqlite" else "a SQLite file, read into memory"
        driver = f"aiosqlite {version('aiosqlite')}"
    yield ok("address", f"{words}; driver {driver}", provider=url.provider, pooled=url.pooled, driver=driver)
    for line in url.notices:
        yield notice("address", line)
    if role is Role.DIRECT and url.pooled:
        yield notice("address", "a pooler, too", "Take the address that your provider shows as direct.")
    if role is Role.WRITER and url.direct and not settings.database_direct_url.get_secret_value():
        yield notice("address", "migrations go through the pooler", f"Set DATABASE_DIRECT_URL to {url.direct}.")


async def _examine_file(url: DatabaseURL, circumstances: DoctorContext, found: list[Finding]) -> None:
    graph = await asyncio.to_thread(circumstances.graph)
    found += await asyncio.to_thread(lambda: list(examine_file(url, graph)))
    journal = next((finding.values["mode"] for finding in found if finding.check == "journal"), "")
    if journal == "wal":  # the site makes it so, and this does not
        found.append(await _use_as_the_site(circumstances))


async def _use_as_the_site(circumstances: DoctorContext) -> Finding:
    """Open the file as the site does."""
    database = open_database(circumstances.settings)
    times, values = [], []
    try:
        for pragma in ("synchronous", "foreign_keys"):
            started = time.perf_counter()
            async with database.reader() as session:
                values.append(await session.scalar(text(f"PRAGMA {pragma}")))
            times.append(milliseconds_since(started))
    except UNAVAILABLE as error:
        return explained("connect", explain(error, database.url))
    finally:
        await database.dispose()
    words = f"first connection {times[0]} ms, another statement {times[1]} ms"
    if values != [SYNCHRONOUS_FULL, 1]:
        fix = "configure_sqlite in opportune/db/drivers/sqlite.py sets both."
        return fault("connect", f"{words}; synchronous={values[0]}, foreign_keys={values[1]}", fix)
    words += "; synchronous=FULL, foreign keys on"
    return ok("connect", words, cold_milliseconds=times[0], statement_milliseconds=times[1])


async def _examine_server(url: DatabaseURL, role: Role, circumstances: DoctorContext, found: list[Finding]) -> None:
    engine = _engine(url)
    try:
        async with asyncio.timeout(SERVER_TIMEOUT_SECONDS):
            cold = await _connect_cold(engine)
            started = time.perf_counter()
            async with engine.connect() as connection:
                subject = ServerContext(url, role, engine, connection, circumstances)
                found.append(await _time(subject, cold, milliseconds_since(started)))
                await _ask_everything(subject, found)
    except (DBAPIError, OSError) as error:  # OSError: the time is over, too
        found.append(explained("connect", explain(error, url)))
    finally:
        await engine.dispose()


def _engine(url: DatabaseURL) -> AsyncEngine:
    connect = partial(TimedConnection.connect_with_retry, limit=SERVER_TIMEOUT_SECONDS)
    arguments = {**url.arguments, "async_creator_fn": connect}
    return create_async_engine(url.url, connect_args=arguments, poolclass=NullPool, hide_parameters=True)


async def _connect_cold(engine: AsyncEngine) -> float:
    started = time.perf_counter()
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return milliseconds_since(started)


async def _time(subject: ServerContext, cold: float, warm: float) -> Finding:
    rounds = []
    for _ in range(3):
        started = time.perf_counter()
        await subject.row("SELECT 1")
        rounds.append(milliseconds_since(started))
    statement = min(rounds)
    words = f"first connection {cold} ms, the next {warm} ms, a statement {statement} ms"
    values = {"cold_milliseconds": cold, "warm_milliseconds": warm, "statement_milliseconds": statement}
    if statement > SLOW_STATEMENT_MS:
        return notice("connect", words, "Far away: run the site in the region of its database.", **values)
    return ok("connect", words, **values)


async def _ask_everything(subject: ServerContext, found: list[Finding]) -> None:
    for name, (check, roles) in CHECKS.items():
        if subject.role in roles:
            try:
                found.append(await check(subject))
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                found.append(_unknown(name, error.orig))
            except psycopg.Error as error:  # of a connection that the check has made
                found.append(_unknown(name, error))
            await subject.connection.rollback()


def _unknown(name: str, error: BaseException | None) -> Finding:
    return notice(name, f"the server does not tell ({type(error).__name__})")
