"""Index in PostgreSQL, with its full-text search, and pg_trgm for typos if it is available."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.exc import ProgrammingError

from opportune.contrib.documents.definition import IndexDefinition
from opportune.contrib.documents.document import Fields
from opportune.contrib.documents.engine import HAS_ENOUGH_NAMES, IMPORTANCE_WEIGHT, Engine
from opportune.contrib.documents.similar_words import Term
from opportune.db.database import Database
from opportune.search.query import Query

MISSING_TABLE_CODES = {"42P01", "3F000"}
"""Error codes of a missing table or schema."""
MISSING_OPERATOR_CODES = {"42883", "42704"}
"""Error codes of a missing operator."""


class PostgreSQLEngine(Engine):
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
