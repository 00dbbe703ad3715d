"""Index in a schema of a PostgreSQL database: its full-text search, and pg_trgm for typos if it is available.

Each build fills a new schema and renames it with its commit. Running searches continue in the old one, which is deleted
when they have ended, so that no search waits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from opportune.contrib.documents.build import Contents, Store, Vocabulary
from opportune.contrib.documents.document import Fields, IndexDefinition
from opportune.contrib.documents.engine import HAS_ENOUGH_NAMES, IMPORTANCE_WEIGHT, Engine
from opportune.contrib.documents.spelling import Term
from opportune.db.database import Database
from opportune.db.drivers.sync_engines import create_postgresql_engine
from opportune.db.queries.batches import batches_of
from opportune.db.url.database_url import DatabaseUrl
from opportune.search.dialects import write_tsquery
from opportune.search.query import Query

SCHEMA = (
    "DROP SCHEMA IF EXISTS {schema}_old CASCADE",
    "CREATE SCHEMA {schema}_new",
    "CREATE TABLE {schema}_new.about (source text, entries integer, skipped integer, built_at text)",
    "CREATE TABLE {schema}_new.entries (id integer PRIMARY KEY, {columns}, document tsvector NOT NULL)",
    # Collation "C", so that an index supports prefix searches.
    'CREATE TABLE {schema}_new.keys (key text COLLATE "C", depth integer, entry integer)',
    'CREATE TABLE {schema}_new.terms (term text COLLATE "C" PRIMARY KEY, is_name boolean, frequency integer)',
)
INDEXES = (
    "CREATE UNIQUE INDEX ON {schema}_new.entries (slug)",
    "CREATE INDEX ON {schema}_new.entries (parent)",
    "CREATE INDEX ON {schema}_new.entries USING gin (document)",
    "CREATE INDEX ON {schema}_new.keys (key, depth, entry)",
    "ANALYZE {schema}_new.entries, {schema}_new.keys, {schema}_new.terms",
)
SIMILARITY_INDEX = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX terms_similar ON {schema}_new.terms USING gist (term gist_trgm_ops)",
)
LOCK = text("SELECT pg_advisory_xact_lock(hashtext(:name))")
WEIGHTS = "ABD"
"""Weights of the words of name, title and text."""
MAX_POSITION = 16_383
"""Maximum position of a word in a tsvector."""
BATCH_ROWS = 500
MISSING_TABLE_CODES = {"42P01", "3F000"}
"""Error codes of a missing table or schema."""
MISSING_OPERATOR_CODES = {"42883", "42704"}
"""Error codes of a missing operator."""


class PostgreSQLEngine(Engine):
    """Queries of the index, which a build replaces between two of them."""

    prefix = "{name}."
    documents = f"""
    (SELECT entry, 1000 + {IMPORTANCE_WEIGHT} * entry
        - 20 * ts_rank_cd(CAST(ARRAY[0.05, 0.1, 0.4, 1.0] AS float4[]), document, CAST(:match AS tsquery))
        AS rank FROM (
        SELECT id AS entry, document FROM {{schema}}entries
        WHERE NOT {HAS_ENOUGH_NAMES} AND document @@ CAST(:match AS tsquery) ORDER BY id LIMIT :max_hits
    ) AS containing)
    """
    similar_terms_sql = """
    SELECT term, is_name, frequency FROM {schema}terms ORDER BY term <-> CAST(:word AS text) LIMIT :candidates
    """

    listed_slugs = "SELECT jsonb_array_elements_text(CAST(:slugs AS jsonb))"
    can_compare_words = "to_regclass('{schema}terms_similar') IS NOT NULL"

    def __init__(self, index: IndexDefinition[Any], database: Database, *, owns_database: bool) -> None:
        """`owns_database`: whether only the index uses the database, so that it is closed with the index."""
        super().__init__(index)
        self.database = database
        self.owns_database = owns_database

    def match(self, query: Query) -> str:
        return write_tsquery(query)

    def similarity_parameters(self, word: str) -> Mapping[str, Any]:
        return {"word": word}

    async def find_similar_terms(self, word: str) -> list[Term]:
        try:
            return await super().find_similar_terms(word)
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", "") not in MISSING_OPERATOR_CODES:
                raise
            return []

    async def rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Fields]:
        try:
            async with self.database.reader() as session:
                return [*(await session.execute(statement, values)).mappings()]
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", "") in MISSING_TABLE_CODES:
                raise self.index.missing_error from error
            raise

    async def close(self) -> None:
        if self.owns_database:
            await self.database.dispose()


class PostgreSQLStore(Store):
    """Writer of the index, with a connection of its own."""

    def __init__(self, index: IndexDefinition[Any], url: DatabaseUrl) -> None:
        super().__init__(index, url)
        self._engine = create_postgresql_engine(url)
        self.faults = (DBAPIError, self._engine.dialect.loaded_dbapi.Error)  # the second ones come from COPY

    def prepare(self) -> None:
        with self.explained_errors(), self._engine.connect() as connection:
            connection.execute(self._sql("CREATE SCHEMA {schema}_new"))  # rolled back

    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        with self.explained_errors():
            with self._engine.begin() as connection:
                connection.execute(LOCK, {"name": f"opportune documents {self.index.name}"})
                self._run(connection, SCHEMA)
                self._fill(connection, contents, advance)
                self._run(connection, INDEXES)
                with suppress(DBAPIError), connection.begin_nested():
                    self._run(connection, SIMILARITY_INDEX)  # without it, typos are not corrected; `status` says so
                if self._exists(connection):
                    connection.execute(self._sql("ALTER SCHEMA {schema} RENAME TO {schema}_old"))
                connection.execute(self._sql("ALTER SCHEMA {schema}_new RENAME TO {schema}"))
            with self._engine.begin() as connection:
                connection.execute(self._sql("DROP SCHEMA IF EXISTS {schema}_old CASCADE"))

    def clear(self) -> bool:
        with self.explained_errors(), self._engine.begin() as connection:
            exists = self._exists(connection)
            # A build that was killed may have left the old index.
            connection.execute(self._sql("DROP SCHEMA IF EXISTS {schema}, {schema}_old CASCADE"))
        return exists

    def _sql(self, statement: str) -> TextClause:
        columns = ", ".join(f"{name} text NOT NULL" for name in self.index.columns)
        return text(statement.format(schema=self.index.name, columns=columns))

    def _run(self, connection: Connection, statements: Iterable[str]) -> None:
        for statement in statements:
            connection.execute(self._sql(statement))

    def _exists(self, connection: Connection) -> bool:
        return connection.scalar(self._sql("SELECT to_regnamespace('{schema}')")) is not None

    def _fill(self, connection: Connection, contents: Contents, advance: Callable[[int], None]) -> None:
        about = contents.source, len(contents.entries), len(contents.skipped), contents.built_at.isoformat()
        self._copy(connection, "about", [about])
        vocabulary = Vocabulary()
        for entries in batches_of(contents.entries, BATCH_ROWS):
            rows = []
            for entry in entries:
                word_columns = entry.word_columns
                vocabulary.add(word_columns)
                rows.append((*entry.row, tsvector(word_columns)))
            self._copy(connection, "entries", rows)
            self._copy(connection, "keys", {key for entry in entries for key in entry.keys})
            advance(len(entries))
        self._copy(connection, "terms", vocabulary.terms)

    def _copy(self, connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {self.index.name}_new.{table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def tsvector(word_columns: tuple[list[str], list[str], list[str]]) -> str:
    """Format words with positions as a tsvector, because PostgreSQL's parser would split names differently."""
    positions: defaultdict[str, list[str]] = defaultdict(list)
    position = 0
    for weight, column in zip(WEIGHTS, word_columns, strict=True):
        for word in column:
            position = min(position + 1, MAX_POSITION)
            positions[word].append(f"{position}{weight}")
        position += 1  # so that no phrase spans title and text
    return " ".join(f"'{word}':{','.join(word_positions[:255])}" for word, word_positions in positions.items())
