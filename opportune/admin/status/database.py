"""Lights of the status page for the database: version, size, latency, and the lag of its replica."""

from time import perf_counter

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.feature import HealthLight
from opportune.runtime.counts import format_duration, format_size

SLOW_MILLISECONDS = 100
ROUND_TRIPS = 3
"""Number of measured queries. The fastest one is shown, because other requests may delay the rest."""
LATE_REPLICA_SECONDS = 10

VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}
REPLICA_LAG_QUERY = text("SELECT EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp())")
"""NULL on a server that is not a replica."""


async def database_lights(app: FastAPI) -> list[HealthLight]:
    database: Database = app.state.database
    async with database.reader(fresh=True) as session:
        dialect = session.get_bind().dialect.name
        version = str(await session.scalar(text(VERSION[dialect]))).split()[0]
        size = int(await session.scalar(text(SIZE[dialect])) or 0)
        latency_light = await _measure_latency(session)
    lights = [
        HealthLight(
            "Server", f"{'PostgreSQL' if dialect == 'postgresql' else 'SQLite'} {version}, {format_size(size)}"
        ),
        latency_light,
    ]
    return [*lights, await _measure_replica_lag(database)] if database.replica else lights


async def _measure_latency(session: AsyncSession) -> HealthLight:
    milliseconds = min([await _measure_round_trip(session) for _ in range(ROUND_TRIPS)]) * 1000
    if milliseconds < SLOW_MILLISECONDS:
        return HealthLight("Round trip", f"{milliseconds:.1f} ms")
    hint = "Run site and database in the same region. Each page takes several round trips."
    return HealthLight("Round trip", f"{milliseconds:.0f} ms", "notice", hint=hint)


async def _measure_round_trip(session: AsyncSession) -> float:
    start = perf_counter()
    await session.execute(text("SELECT 1"))
    return perf_counter() - start


async def _measure_replica_lag(database: Database) -> HealthLight:
    async with database.reader() as session:
        seconds = await session.scalar(REPLICA_LAG_QUERY)
    if seconds is None:
        return HealthLight("Replica's lag", "is not reported")
    if seconds < LATE_REPLICA_SECONDS:
        return HealthLight("Replica's lag", f"{seconds:.1f} s since its last change")
    hint = "If rows change often, the replica is behind. Check its server. If not, it is only idle."
    return HealthLight(
        "Replica's lag", f"its last change is {format_duration(float(seconds))} old", "notice", hint=hint
    )
