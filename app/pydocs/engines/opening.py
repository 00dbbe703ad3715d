"""From settings to the index."""

from app.pydocs.engines.engine import Engine
from opportune.db.database import Database
from opportune.db.drivers.postgresql import PostgreSQLDatabase
from opportune.db.url.database_url import DatabaseURL
from opportune.settings import Settings

NAME = "PYDOCS_DATABASE_URL"
DEFAULT = "sqlite:///./data/pydocs.db"


def index_url(settings: Settings) -> DatabaseURL:
    """Where the index is.

    Raises:
        OperatorError: PYDOCS_DATABASE_URL or DATABASE_URL is not understood.
    """
    if given := settings.pydocs_database_url.get_secret_value():
        return DatabaseURL.parse(given, settings.database_pooled, NAME)
    main = DatabaseURL.parse(settings.database_url.get_secret_value(), settings.database_pooled)
    return main if main.kind == "postgresql" else DatabaseURL.parse(DEFAULT, name=NAME)


def open_engine(settings: Settings, database: Database | None = None) -> Engine:
    """The index, not read yet. `database` is used if that is where it is.

    Raises:
        OperatorError: as above.
    """
    url = index_url(settings)
    if url.kind != "postgresql":
        from app.pydocs.engines.sqlite import SQLiteEngine  # noqa: PLC0415 - one of two

        return SQLiteEngine(url, settings)
    from app.pydocs.engines.postgresql import PostgreSQLEngine  # noqa: PLC0415 - the other one

    if database and database.url == url:
        return PostgreSQLEngine(database, is_own=False)
    return PostgreSQLEngine(PostgreSQLDatabase(url, settings), is_own=True)
