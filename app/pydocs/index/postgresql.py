"""An index in the schema `pydocs` of a PostgreSQL database.

Each index is an edition: rows that nobody sees until its transaction has committed. The newest is read, and the others
are removed after that, so those who read never wait and never miss a table.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from app.pydocs.index.contents import COLUMNS, Contents, Vocabulary
from app.pydocs.index.store import Store
from opportune.db.drivers.sync_engines import postgresql_engine
from opportune.db.errors import explain
from opportune.errors import OperatorError

VIEWS = {"about": "editions", "entries": "all_entries", "keys": "all_keys", "terms": "all_terms"}
CURRENT = "WHERE edition = (SELECT max(edition) FROM pydocs.editions)"
SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS pydocs",
    "CREATE TABLE IF NOT EXISTS pydocs.editions (edition integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " source text, entries integer, skipped integer, built_at text)",
    "CREATE TABLE IF NOT EXISTS pydocs.all_entries (edition integer, id integer,"
    f" {', '.join(f'{name} text NOT NULL' for name in COLUMNS)}, document tsvector NOT NULL,"
    " PRIMARY KEY (edition, id), UNIQUE (edition, slug))",
    "CREATE INDEX IF NOT EXISTS all_entries_parent ON pydocs.all_entries (edition, parent)",
    "CREATE INDEX IF NOT EXISTS all_entries_document ON pydocs.all_entries USING gin (document)",
    # Compared byte by byte, so that an index finds what begins with something.
    'CREATE TABLE IF NOT EXISTS pydocs.all_keys (edition integer, key text COLLATE "C", depth integer, entry integer,'
    " PRIMARY KEY (edition, key, depth, entry))",
    'CREATE TABLE IF NOT EXISTS pydocs.all_terms (edition integer, term text COLLATE "C", is_name boolean,'
    " frequency integer, PRIMARY KEY (edition, term))",
    *(
        f"CREATE OR REPLACE VIEW pydocs.{view} AS SELECT * FROM pydocs.{table} {CURRENT}"  # noqa: S608 - ours
        for view, table in VIEWS.items()
    ),
)
TYPOS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS all_terms_similar ON pydocs.all_terms USING gist (term gist_trgm_ops)",
)
EDITION = """INSERT INTO pydocs.editions (source, entries, skipped, built_at)
             VALUES (:source, :entries, :skipped, :built_at) RETURNING edition"""
WEIGHTS = "ABD"
"""Of the words of name, title and text."""
LAST_POSITION = 16_383
"""What PostgreSQL can count to in one document."""
AT_A_TIME = 500


class PostgreSQLStore(Store):
    def prepare(self) -> None:
        try:
            _prepare(postgresql_engine(self.url))
        except DBAPIError as error:
            raise OperatorError(explain(error, self.url)) from error

    def write(self, contents: Contents, step: Callable[[int], None]) -> None:
        engine = postgresql_engine(self.url)
        try:
            with engine.begin() as connection:
                edition = _write(connection, contents, step)
            with engine.begin() as connection:
                _remove_older(connection, edition)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in VIEWS.values():  # else each question would look at the removed rows as well
                    connection.execute(text(f"VACUUM (ANALYZE, TRUNCATE FALSE) pydocs.{table}"))
        except DBAPIError as error:
            raise OperatorError(explain(error, self.url)) from error

    def clear(self) -> bool:
        try:
            with postgresql_engine(self.url).begin() as connection:
                found = connection.scalar(text("SELECT to_regclass('pydocs.editions')")) is not None
                connection.execute(text("DROP SCHEMA IF EXISTS pydocs CASCADE"))
        except DBAPIError as error:
            raise OperatorError(explain(error, self.url)) from error
        return found


def _prepare(engine: Engine) -> None:
    with engine.begin() as connection:
        # Views are replaced under locks that those who read would wait for, each for another.
        missing = connection.scalar(text("SELECT to_regclass('pydocs.about')")) is None
        for statement in SCHEMA if missing else ():
            connection.execute(text(statement))
    try:
        with engine.begin() as connection:
            for statement in TYPOS:
                connection.execute(text(statement))
    except DBAPIError:
        """The server has no pg_trgm, or keeps it from this user: typing errors are not mended, and `status` says so."""


def _write(connection: Connection, contents: Contents, step: Callable[[int], None]) -> int:
    about = {"source": contents.source, "entries": len(contents.entries), "skipped": contents.skipped}
    edition = int(connection.scalar(text(EDITION), {**about, "built_at": contents.built_at.isoformat()}))
    vocabulary = Vocabulary()
    for start in range(0, len(contents.entries), AT_A_TIME):
        chosen = contents.entries[start : start + AT_A_TIME]
        documents = [each.document for each in chosen]
        for document in documents:
            vocabulary.add(document)
        rows = zip(chosen, documents, strict=True)
        _copy(connection, "entries", ((edition, *each.row, tsvector(document)) for each, document in rows))
        _copy(connection, "keys", {(edition, *key) for each in chosen for key in each.keys})
        step(len(chosen))
    _copy(connection, "terms", ((edition, *term) for term in vocabulary.terms))
    return edition


def _remove_older(connection: Connection, edition: int) -> None:
    for table in VIEWS.values():
        older = text(f"DELETE FROM pydocs.{table} WHERE edition < :edition")  # noqa: S608 - our own names
        connection.execute(older, {"edition": edition})


def _copy(connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY pydocs.all_{table} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def tsvector(document: tuple[list[str], list[str], list[str]]) -> str:
    """The words with their places, as PostgreSQL writes them: its own parser would split names in its own way."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    place = 0
    for weight, column in zip(WEIGHTS, document, strict=True):
        for word in column:
            place = min(place + 1, LAST_POSITION)
            places[word].append(f"{place}{weight}")
        place += 1  # a phrase does not go on from a title into a text
    return " ".join(f"'{word}':{','.join(found[:255])}" for word, found in places.items())
