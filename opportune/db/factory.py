"""Database from settings."""

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.postgresql import PostgreSQLDatabase
from opportune.db.drivers.sqlite import SQLiteDatabase
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.replicas import ReplicaUrl, parse_replicas
from opportune.errors import OperatorError


def open_database(settings: Settings) -> Database:
    """Return the database of the settings. It connects at the first use.

    Raises:
        OperatorError: DATABASE_URL or DATABASE_READER_URL is invalid, or they do not match.
    """
    url = DatabaseUrl.parse(settings.database_url.get_secret_value(), settings.database_pooled)
    replica_urls = replicas_of(url, settings)
    if url.kind == "sqlite":
        return SQLiteDatabase(url, settings)
    if url.kind == "memory":
        return MemoryDatabase(url, settings)
    return PostgreSQLDatabase(url, settings, replica_urls)


def replicas_of(url: DatabaseUrl, settings: Settings) -> list[ReplicaUrl]:
    """Return the addresses of the replicas in the settings."""
    replicas = parse_replicas(settings.database_reader_url.get_secret_value(), settings.database_pooled)
    if not replicas:
        return []
    if url.kind != "postgresql":
        raise OperatorError("DATABASE_READER_URL requires PostgreSQL as DATABASE_URL. Remove it.")
    if any(replica.url.kind != "postgresql" for replica in replicas):
        raise OperatorError("DATABASE_READER_URL must be a replica of DATABASE_URL, so it must be PostgreSQL.")
    return replicas
