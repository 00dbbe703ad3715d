"""Database from settings."""

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers.postgresql import PostgreSQLDatabase
from opportune.db.drivers.sqlite import SQLiteDatabase
from opportune.db.drivers.sqlite_memory import MemoryDatabase
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError


def open_database(settings: Settings) -> Database:
    """Return the database of the settings. It connects at the first use.

    Raises:
        OperatorError: DATABASE_URL or DATABASE_READER_URL is invalid, or they do not match.
    """
    url = DatabaseURL.parse(settings.database_url.get_secret_value(), settings.database_pooled)
    reader_url = replica_of(url, settings)
    if url.kind == "sqlite":
        return SQLiteDatabase(url, settings)
    if url.kind == "memory":
        return MemoryDatabase(url, settings)
    return PostgreSQLDatabase(url, settings, reader_url)


def replica_of(url: DatabaseURL, settings: Settings) -> DatabaseURL | None:
    """Return the URL of the replica, or None if the settings name none.

    Raises:
        OperatorError: The URL is invalid, or the database supports no replica.
    """
    text = settings.database_reader_url.get_secret_value()
    if not text:
        return None
    reader_url = DatabaseURL.parse(text, settings.database_pooled, "DATABASE_READER_URL")
    if url.kind != "postgresql":
        raise OperatorError("DATABASE_READER_URL requires PostgreSQL as DATABASE_URL. Remove it.")
    if reader_url.kind != "postgresql":
        raise OperatorError("DATABASE_READER_URL must be a replica of DATABASE_URL, so it must be PostgreSQL.")
    return reader_url
