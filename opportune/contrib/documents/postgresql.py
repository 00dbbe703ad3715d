"""Index in a schema of a PostgreSQL database: its full-text search, and pg_trgm for typos if it is available.

Each build inserts an edition, which becomes visible with its commit. Searches read the newest edition; older ones are
deleted later. So searches never wait, and tables always exist.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from opportune.contrib.documents.build import Contents, Store, Vocabulary
from opportune.contrib.documents.document import Fields, IndexDefinition
from opportune.contrib.documents.engine import HAS_ENOUGH_NAMES, IMPORTANCE_WEIGHT, Engine
from opportune.contrib.documents.spelling import Term
from opportune.db.database import Database
from opportune.db.drivers.sync_engines import create_postgresql_engine
from opportune.db.errors import explain
from opportune.db.queries.batches import batches_of
from opportune.errors import OperatorError
from opportune.search.query import Query

VIEWS = {"about": "editions", "entries": "all_entries", "keys": "all_keys", "terms": "all_terms"}
CURRENT = "WHERE edition = (SELECT max(edition) FROM {schema}.editions)"
SCHEMA = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    "CREATE TABLE IF NOT EXISTS {schema}.editions (edition integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " source text, entries integer, skipped integer, built_at text)",
    "CREATE TABLE IF NOT EXISTS {schema}.all_entries (edition integer, id integer,"
    " {columns}, document tsvector NOT NULL,"
    " PRIMARY KEY (edition, id), UNIQUE (edition, slug))",
    "CREATE INDEX IF NOT EXISTS all_entries_parent ON {schema}.all_entries (edition, parent)",
    "CREATE INDEX IF NOT EXISTS all_entries_document ON {schema}.all_entries USING gin (document)",
    # Collation "C", so that an index supports prefix searches.
    'CREATE TABLE IF NOT EXISTS {schema}.all_keys (edition integer, key text COLLATE "C", depth integer, entry integer,'
    " PRIMARY KEY (edition, key, depth, entry))",
    'CREATE TABLE IF NOT EXISTS {schema}.all_terms (edition integer, term text COLLATE "C", is_name boolean,'
    " frequency integer, PRIMARY KEY (edition, term))",
    *(
        f"CREATE OR REPLACE VIEW {{schema}}.{view} AS SELECT * FROM {{schema}}.{table} {CURRENT}"
        for view, table in VIEWS.items()
    ),
)
SIMILARITY_INDEX = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS all_terms_similar ON {schema}.all_terms USING gist (term gist_trgm_ops)",
)
COLUMNS = text("""
    SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = 'entries'
    AND column_name NOT IN ('edition', 'id', 'document') ORDER BY ordinal_position
""")
EDITION = """INSERT INTO {schema}.editions (source, entries, skipped, built_at)
             VALUES (:source, :entries, :skipped, :built_at) RETURNING edition"""
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
    """Queries of the index. Each one reads the newest edition."""

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
    can_compare_words = "to_regclass('{schema}all_terms_similar') IS NOT NULL"

    def __init__(self, index: IndexDefinition[Any], database: Database, *, owns_database: bool) -> None:
        """`owns_database`: whether only the index uses the database, so that it is closed with the index."""
        super().__init__(index)
        self.database = database
        self.owns_database = owns_database

    def match(self, query: Query) -> str:
        return query.as_tsquery

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

    async def refresh(self) -> None:
        """Do nothing: each query reads the newest edition."""

    async def close(self) -> None:
        if self.owns_database:
            await self.database.dispose()


class PostgreSQLStore(Store):
    """Writer of the index, with a connection of its own."""

    def prepare(self) -> None:
        with self._explained_errors():
            self._prepare()

    def write(self, contents: Contents, advance: Callable[[int], None]) -> None:
        engine = create_postgresql_engine(self.url)
        with self._explained_errors():
            with engine.begin() as connection:
                edition = self._write(connection, contents, advance)
            with engine.begin() as connection:
                for table in VIEWS.values():
                    deletion = self._sql(f"DELETE FROM {{schema}}.{table} WHERE edition < :edition")
                    connection.execute(deletion, {"edition": edition})
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in VIEWS.values():  # otherwise queries would also visit deleted rows
                    connection.execute(self._sql(f"VACUUM (ANALYZE, TRUNCATE FALSE) {{schema}}.{table}"))

    def clear(self) -> bool:
        with self._explained_errors(), create_postgresql_engine(self.url).begin() as connection:
            exists = connection.scalar(self._sql("SELECT to_regclass('{schema}.editions')")) is not None
            connection.execute(self._sql("DROP SCHEMA IF EXISTS {schema} CASCADE"))
        return exists

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise OperatorError(explain(error, self.url)) from error

    def _sql(self, statement: str) -> TextClause:
        columns = ", ".join(f"{name} text NOT NULL" for name in self.index.columns)
        return text(statement.format(schema=self.index.name, columns=columns))

    def _prepare(self) -> None:
        engine = create_postgresql_engine(self.url)
        with engine.begin() as connection:
            columns = tuple(connection.scalars(COLUMNS, {"schema": self.index.name}))
            if columns and columns != self.index.columns:  # built by another version of the code
                connection.execute(self._sql("DROP SCHEMA {schema} CASCADE"))
            if columns != self.index.columns:  # only then, because replacing views takes locks that block searches
                for statement in SCHEMA:
                    connection.execute(self._sql(statement))
        # Without pg_trgm, typos are not corrected, and `status` says so.
        with suppress(DBAPIError), engine.begin() as connection:
            for statement in SIMILARITY_INDEX:
                connection.execute(self._sql(statement))

    def _write(self, connection: Connection, contents: Contents, advance: Callable[[int], None]) -> int:
        """Insert an edition, and return its number."""
        about = {
            "source": contents.source,
            "entries": len(contents.entries),
            "skipped": len(contents.skipped),
            "built_at": contents.built_at.isoformat(),
        }
        edition = int(connection.scalar(self._sql(EDITION), about))
        vocabulary = Vocabulary()
        for entries in batches_of(contents.entries, BATCH_ROWS):
            rows = []
            for entry in entries:
                word_columns = entry.word_columns
                vocabulary.add(word_columns)
                rows.append((edition, *entry.row, tsvector(word_columns)))
            self._copy(connection, "entries", rows)
            self._copy(connection, "keys", {(edition, *key) for entry in entries for key in entry.keys})
            advance(len(entries))
        self._copy(connection, "terms", ((edition, *term) for term in vocabulary.terms))
        return edition

    def _copy(self, connection: Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {self.index.name}.all_{table} FROM STDIN") as copy:
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
