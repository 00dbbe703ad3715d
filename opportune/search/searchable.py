"""Full-text search for a model, also by words and meaning together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Inspector,
    Integer,
    Select,
    String,
    Table,
    column,
    false,
    func,
    inspect,
    select,
    text,
    union_all,
    values,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.database import Database
from opportune.db.hooks.registry import after_create, after_update
from opportune.errors import OperatorError
from opportune.pagination import Paging, paginate
from opportune.search.indexes import WEIGHTS, Dialect, Fields
from opportune.search.postgresql import PostgreSQL, PostgreSQLVectors
from opportune.search.query import Query, fold_like_postgresql
from opportune.search.results import Highlighter, SearchResults
from opportune.search.sqlite import SQLite, SQLiteVectors
from opportune.search.vectors import EDITIONS, EMBED_LATER, EMBEDDINGS, SMOOTHING_RANKS, Embeddings, Vectors

VECTORS: dict[str, Vectors] = {"sqlite": SQLiteVectors(), "postgresql": PostgreSQLVectors()}
M = TypeVar("M", bound=SQLModel)
DIALECTS: Mapping[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
registered: dict[str, Fields] = {}
"""Searched fields by table. `migrate` creates their indexes."""
vector_tables: dict[str, Fields] = {}
"""Tables of vectors of other searches, by table. `migrate` creates them."""


@dataclass(frozen=True)
class RowHit(Generic[M]):
    """A row in search results.

    Attributes:
        row: The row.
        url: URL of its page; empty if `Searchable` has no `url`.
        name_html: First searched field, escaped, with search words in <mark>.
        snippet_html: Excerpt of the other fields, escaped, with search words in <mark>.
    """

    row: M
    url: str
    name_html: Markup
    snippet_html: Markup


class Searchable(Generic[M]):
    """Full-text index of a model. `migrate` creates it; the database updates it in the transaction of each change.

    Example:
        book_search = Searchable(Book, fields=["title", "summary"], url="/books/{id}")
        page = await paginate(session, book_search.search(session, "os pat"), paging)

    Args:
        model: The model.
        fields: Names of text columns, the most important first.
        weights: Weight of each field from A (highest) to D. By default A for the first field, B for the second, ...
        url: Address of a row's page, with columns in braces.
        by_meaning: Also search by meaning in `find` and `search_hybrid`, if EMBEDDING_MODEL is set. A job sends changed
            rows to the model.

    Raises:
        OperatorError: A field is not a text column, a weight is invalid, or the address has an unknown column.
    """

    def __init__(
        self,
        model: type[M],
        fields: Sequence[str],
        weights: Mapping[str, str] | None = None,
        url: str = "",
        *,
        by_meaning: bool = False,
    ) -> None:
        self.model = model
        self.url = url
        table: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel's tables have it
        defaults = {name: WEIGHTS[min(index, len(WEIGHTS) - 1)] for index, name in enumerate(fields)}
        self.fields = Fields(table.name, {**defaults, **(weights or {})}, by_meaning)
        _validate(table, self.fields, fields, url)
        registered[table.name] = self.fields
        if by_meaning:
            for hook in (after_create, after_update):
                hook(model)(self._embed_later)

    def search(self, session: AsyncSession, query: str, within: Select[M] | None = None) -> Select[M]:
        """Return a query for the matching rows, the best first.

        Args:
            session: Any session.
            query: Text of the search. An empty text returns `within` unchanged.
            within: Rows to search. By default all rows of the model.
        """
        statement = select(self.model) if within is None else within
        if not query.strip():
            return statement
        if Query.parse(query).is_blank:
            return statement.where(false())
        return self._dialect(session).ranked(statement, self.fields, query)

    async def search_hybrid(self, session: AsyncSession, query: str, within: Select[M] | None = None) -> Select[M]:
        """Like `search`, but also by meaning, if EMBEDDING_MODEL is set and responds in time."""
        by_words = self.search(session, query, within)
        embeddings = session.info.get(EMBEDDINGS) if self.fields.by_meaning else None
        parsed = Query.parse(query)
        if embeddings is None or parsed.is_blank or parsed.is_exact:
            return by_words
        statement = select(self.model) if within is None else within
        nearest = await find_nearest(session, statement, self.fields, parsed.text, embeddings)
        if not nearest:
            return by_words
        matching, relevance = self._dialect(session).matching(statement, self.fields, query)
        return fuse(statement, self.fields, matching, relevance, nearest)

    async def find(
        self, session: AsyncSession, query: str, *, limit: int = 20, page: int = 1, within: Select[M] | None = None
    ) -> "SearchResults[RowHit[M]]":
        """Return one page of results with highlighted texts. An empty query has no results.

        Args:
            session: Any session.
            query: Text of the search.
            limit: Results per page.
            page: Page number from 1.
            within: Rows to search. By default all rows of the model.
        """
        parsed = Query.parse(query, fold=fold_like_postgresql)
        blank = select(self.model).where(false())
        statement = blank if parsed.is_blank else await self.search_hybrid(session, query, within)
        rows = await paginate(session, statement, Paging(page=page, size=limit))
        highlighter = Highlighter(parsed.highlighted_words)
        return SearchResults[Any](
            items=[self._hit(row, highlighter) for row in rows.items],
            total=rows.total,
            page=rows.page,
            pages=rows.pages,
            query=parsed.text,
        )

    async def rebuild(self, database: Database) -> None:
        """Rebuild a damaged index, while the old one is used."""
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(DIALECTS[connection.dialect.name].rebuild(self.fields)))

    async def _embed_later(self, session: AsyncSession, row: M) -> None:
        if queue_embedding := session.info.get(EMBED_LATER):
            queue_embedding(session, self.fields.table)

    def _hit(self, row: M, highlighter: Highlighter) -> RowHit[M]:
        name, *texts = (getattr(row, field) or "" for field in self.fields.weights)
        return RowHit(
            row,
            self.url.format_map({field: quote(str(value)) for field, value in row.model_dump().items()}),
            Markup(highlighter.mark(name)),  # noqa: S704 - escaped by the highlighter
            Markup(highlighter.snippet(" ".join(texts))),  # noqa: S704 - as above
        )

    @staticmethod
    def _dialect(session: AsyncSession) -> Dialect:
        return DIALECTS[session.get_bind().dialect.name]


def _validate(table: Table, fields: Fields, names: Sequence[str], url: str) -> None:
    if not names:
        raise OperatorError(f"Searchable of {table.name} needs at least one field.")
    texts = [column.name for column in table.columns if isinstance(getattr(column.type, "impl", column.type), String)]
    for name, weight in fields.weights.items():
        if name not in names or name not in texts:
            raise OperatorError(f"{table.name} cannot be searched by {name}. Its text columns are {', '.join(texts)}.")
        if weight not in WEIGHTS:
            raise OperatorError(f"The weight of {name} in {table.name} is {weight}. Use A, B, C or D.")
    for _, part, _, _ in Formatter().parse(url):
        if part is not None and part not in table.columns:
            raise OperatorError(
                f"The address {url} of {table.name} has an unknown column {{{part}}}. Use a column such as {{id}}."
            )


def _has_columns(inspector: Inspector, fields: Fields) -> bool:
    if not inspector.has_table(fields.table):
        return False
    return fields.weights.keys() <= {column["name"] for column in inspector.get_columns(fields.table)}


def due_statements(connection: Connection) -> list[str]:
    """Return the statements that update the indexes of all searchable models."""
    inspector = inspect(connection)
    searchable = [fields for fields in registered.values() if _has_columns(inspector, fields)]
    statements = DIALECTS[connection.dialect.name].due_statements(connection, searchable)
    tables = inspector.get_table_names()
    if EDITIONS in tables:
        required = [*searchable, *vector_tables.values()]
        statements += VECTORS[connection.dialect.name].due_statements(connection, required, tables)
    return statements


async def find_nearest(
    session: AsyncSession, within: Select[Any] | None, fields: Fields, query: str, embeddings: Embeddings
) -> dict[int, float]:
    """Return the similarity (0 to 1) of the nearest rows by id; empty if the model does not respond in time.

    `within` selects the rows to compare; None compares all.
    """
    # Before the first statement, so that no database connection is held during the request.
    vector = await embeddings.embed_query(query)
    if vector is None:
        return {}
    vectors = VECTORS[session.get_bind().dialect.name]
    edition = await vectors.find_edition(session, fields)
    if edition and edition.made_of != embeddings.model.made_of:
        # The job has not yet embedded all rows with the new model, so compare with the vectors of the old one.
        vector = await embeddings.embed_query(query, edition.made_of)
    if edition is None or vector is None:
        return {}
    await vectors.prepare(session)
    max_distance = 1 - embeddings.model.min_similarity
    nearest = vectors.nearest(within, fields, edition.number, vector, max_distance)
    return {row_id: 1 - distance for row_id, distance in await session.execute(nearest)}


def fuse(
    statement: Select[Any],
    fields: Fields,
    matching: Select[Any],
    relevance: Sequence[ColumnElement[Any]],
    nearest: Iterable[int],
) -> Select[Any]:
    """Merge the rows that full-text search found with the nearest rows by meaning, by reciprocal rank fusion.

    Rows found by both rank first. On a tie, the row of the full-text search wins: its ranks are 0.5 smaller.

    Args:
        statement: Selects the searched rows.
        fields: The searched fields.
        matching: Selects the rows that full-text search found.
        relevance: Order of `matching`, the best first.
        nearest: Ids of the nearest rows by meaning, the nearest first.
    """
    key = fields.key
    rank = func.row_number().over(order_by=relevance).label("rank")
    words = matching.with_only_columns(key.label("id"), rank, maintain_column_froms=True).order_by(None).cte()
    scores = [(row_id, 1 / (SMOOTHING_RANKS + 0.5 + number)) for number, row_id in enumerate(nearest, 1)]
    meaning = values(column("id", Integer), column("score", Float), name="meaning").data(scores).cte("meaning")
    all_scores = union_all(
        select(words.c.id, (1.0 / (SMOOTHING_RANKS + words.c.rank)).label("score")),
        select(meaning.c.id, meaning.c.score),
    ).subquery()
    totals = select(all_scores.c.id, func.sum(all_scores.c.score).label("score")).group_by(all_scores.c.id).cte()
    return statement.join(totals, totals.c.id == key).order_by(None).order_by(totals.c.score.desc(), key)
