"""From settings to the index."""

from app.core.db.database import Database
from app.core.db.postgresql import PostgreSQLDatabase
from app.core.db.url import DatabaseURL
from app.core.settings import Settings
from app.features.pydocs.engines.engine import Engine

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
        from app.features.pydocs.engines.sqlite import SQLiteEngine  # noqa: PLC0415 - one of two

        return SQLiteEngine(url, settings)
    from app.features.pydocs.engines.postgresql import PostgreSQLEngine  # noqa: PLC0415 - the other one

    if database and database.url == url:
        return PostgreSQLEngine(database, is_own=False)
    return PostgreSQLEngine(PostgreSQLDatabase(url, settings), is_own=True)
