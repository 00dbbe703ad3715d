"""From settings to a database."""

from app.core.db.database import Database
from app.core.db.postgresql import PostgreSQLDatabase
from app.core.db.sqlite import SQLiteDatabase
from app.core.db.url import DatabaseURL
from app.core.settings import Settings


def open_database(settings: Settings) -> Database:
    """The database of these settings, not connected yet.

    Raises:
        OperatorError: DATABASE_URL is not understood.
    """
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    return SQLiteDatabase(url, settings) if url.kind == "sqlite" else PostgreSQLDatabase(url, settings)
