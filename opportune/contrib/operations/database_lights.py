"""Lights of the database and its replicas, for the status page."""

import time

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.db.drivers.replica import Replica
from opportune.feature import HealthLight
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_number, format_size

SLOW_MILLISECONDS = 100
ROUND_TRIPS = 3
"""Number of measured queries. The fastest one is shown, because other requests may delay the rest."""

VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


async def database_lights(app: FastAPI) -> list[HealthLight]:
    database: Database = app.state.database
    async with database.reader(fresh=True) as session:
        dialect = session.get_bind().dialect.name
        version = str(await session.scalar(text(VERSION[dialect]))).split()[0]
        size = int(await session.scalar(text(SIZE[dialect])) or 0)
        latency_light = await _measure_latency(session)
    server = f"{'PostgreSQL' if dialect == 'postgresql' else 'SQLite'} {version}"
    lights = [HealthLight("Server", _("%(server)s, %(size)s", server=server, size=format_size(size))), latency_light]
    return [*lights, *map(replica_light, database.replicas.members)]


async def _measure_latency(session: AsyncSession) -> HealthLight:
    milliseconds = min([await _measure_round_trip(session) for _trip in range(ROUND_TRIPS)]) * 1000
    is_slow = milliseconds >= SLOW_MILLISECONDS
    text = _("%(number)s ms", number=format_number(milliseconds, 0 if is_slow else 1))
    if not is_slow:
        return HealthLight("Round trip", text)
    hint = _("Run site and database in the same region. Each page takes several round trips.")
    return HealthLight("Round trip", text, "notice", hint=hint)


async def _measure_round_trip(session: AsyncSession) -> float:
    start = time.perf_counter()
    await session.execute(text("SELECT 1"))
    return time.perf_counter() - start


def replica_light(replica: Replica) -> HealthLight:
    """Return the state of a replica as this process knows it."""
    name = _("Replica %(server)s", server=replica.url.server)
    if replica.problem:
        hint = _("Other servers are read until it can be used again. Check its server and network: oppman.py doctor")
        return HealthLight(name, _("is not used: %(problem)s", problem=replica.problem), "fault", hint=hint)
    if replica.lag_seconds is None:
        return HealthLight(name, _("is used. Its lag is not known yet"))
    seconds = format_number(replica.lag_seconds, 1)
    return HealthLight(name, _("is used, at most %(seconds)s s behind", seconds=seconds))
