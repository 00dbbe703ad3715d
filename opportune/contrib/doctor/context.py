"""Databases under examination."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl


class Role(Enum):
    """Purpose of a database URL. The value is its setting."""

    WRITER = "DATABASE_URL"
    READER = "DATABASE_READER_URL"
    DIRECT = "DATABASE_DIRECT_URL"


@dataclass(frozen=True)
class DoctorContext:
    """Site whose databases are examined."""

    settings: Settings
    features: Sequence[str]
    """Names of the installed features, whose migrations the database should have."""
    processes: int = 1
    """Number of processes that serve the site."""
    name: str = Role.WRITER.value
    """Name of DATABASE_URL in the report."""

    def graph(self) -> MigrationGraph:
        return MigrationGraph(self.features)


@dataclass(frozen=True)
class ServerContext:
    """Open connection to a PostgreSQL server."""

    url: DatabaseUrl
    role: Role
    engine: AsyncEngine
    connection: AsyncConnection
    doctor: DoctorContext

    async def row(self, query: str) -> Row[Any]:
        """Return the only row of a query. The caller ends the transaction."""
        return (await self.connection.execute(text(query))).one()

    async def driver(self) -> Any:
        """Return psycopg's connection."""
        return (await self.connection.get_raw_connection()).driver_connection
