"""A PostgreSQL server under examination."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from opportune.config.settings import Settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL


class Role(Enum):
    """What the site has an address for, by its setting."""

    WRITER = "DATABASE_URL"
    READER = "DATABASE_READER_URL"
    DIRECT = "DATABASE_DIRECT_URL"


@dataclass(frozen=True)
class DoctorContext:
    """What a database is to serve."""

    settings: Settings
    features: Sequence[str]
    """Installed features: whose migrations it should have."""
    processes: int = 1
    """How many processes serve the site."""
    name: str = Role.WRITER.value
    """What to call the address that the site writes to."""

    def graph(self) -> MigrationGraph:
        return MigrationGraph(self.features)


@dataclass(frozen=True)
class ServerContext:
    url: DatabaseURL
    role: Role
    engine: AsyncEngine
    connection: AsyncConnection
    circumstances: DoctorContext

    async def row(self, query: str) -> Row[Any]:
        """The one row of a query, in a transaction that the caller ends."""
        return (await self.connection.execute(text(query))).one()

    async def driver(self) -> Any:
        """psycopg's own connection."""
        return (await self.connection.get_raw_connection()).driver_connection
