"""A model that can be searched: one line beside it, and a query anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import Connection, Select, String, Table, false, select, text
from sqlalchemy import inspect as look_into
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.database import Database
from opportune.db.hooks.registry import after_change, after_create
from opportune.db.migrations.post_migrate import VECTORS_PREFIX, post_migrate
from opportune.errors import OperatorError
from opportune.pagination import Paging, paginate
from opportune.search.documents import index as document_indexes
from opportune.search.documents.vectors import fields_of
from opportune.search.highlight import Highlighter
from opportune.search.models.hybrid import VECTORS, find_nearest, fused
from opportune.search.models.indexes import WEIGHTS, Dialect, Fields
from opportune.search.models.postgresql import PostgreSQL
from opportune.search.models.sqlite import SQLite
from opportune.search.query import Query
from opportune.search.results import SearchResults
from opportune.search.words import folded_as_postgresql

M = TypeVar("M", bound=SQLModel)

DIALECTS: Mapping[str, Dialect] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
EMBEDDINGS, EMBED_LATER = "embeddings", "embed_later"
"""Where sessions know the site's `Embeddings`, and a function that queues the job which asks them."""
registered: dict[str, Fields] = {}
"""By table: what `migrate` makes indexes for."""


@dataclass(frozen=True)
class RowHit(Generic[M]):
    """A row that was found."""

    row: M
    url: str
    """Of its page; empty where `Searchable` was told of none."""
    name_html: Markup
    """Its first searched field, escaped, with what was looked for in <mark>."""
    snippet_html: Markup
    """Some words of the others, likewise."""


class Searchable(Generic[M]):
    """Makes the rows of a model searchable: `book_search = Searchable(Book, fields=["title", "summary"])`.

    `migrate` makes the index; the database keeps it fresh in the transaction of each change, whoever makes it. A word
    of the first field counts the most: `weights={"title": "A", "summary": "B"}` is what is meant by default, down to D.
    `url` is the address of a row's page, such as `/books/{id}`. `by_meaning` has `find` and `search_hybrid` find rows
    by what they mean, too, where EMBEDDING_MODEL names a model: a job sends it their fields after each change.

    Raises:
        OperatorError: a field that is no text of the model, a weight that is none, or an address of what it has not.
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
        by_place = {name: WEIGHTS[min(place, len(WEIGHTS) - 1)] for place, name in enumerate(fields)}
        self.fields = Fields(table.name, {**by_place, **(weights or {})}, by_meaning)
        _refuse(table, self.fields, fields, url)
        registered[table.name] = self.fields
        if by_meaning:
            for moment in (after_create, after_change):
                moment(model)(self._embed_later)

    def search(self, session: AsyncSession, query: str, within: Select[tuple[M]] | None = None) -> Select[tuple[M]]:
        """The rows that a text finds, the best first, among those of `within`: to be paginated as any other query.

        An empty text leaves `within` as it is. `search_hybrid` finds what means the like as well.
        """
        statement = select(self.model) if within is None else within
        if not query.strip():
            return statement
        if Query.parse(query).is_blank:
            return statement.where(false())
        return self._dialect(session).found(statement, self.fields, query)

    async def search_hybrid(
        self, session: AsyncSession, query: str, within: Select[tuple[M]] | None = None
    ) -> Select[tuple[M]]:
        """The same by words and by meaning, where EMBEDDING_MODEL names a model and it answers in time."""
        by_words = self.search(session, query, within)
        embeddings = session.info.get(EMBEDDINGS) if self.fields.by_meaning else None
        asked = Query.parse(query)
        if embeddings is None or asked.is_blank or asked.is_exact:
            return by_words
        statement = select(self.model) if within is None else within
        nearest = await find_nearest(session, statement, self.fields, asked.text, embeddings)
        if not nearest:
            return by_words
        return fused(statement, self.fields, self._dialect(session).matching(statement, self.fields, query), nearest)

    async def find(
        self,
        session: AsyncSession,
        query: str,
        *,
        limit: int = 20,
        page: int = 1,
        within: Select[tuple[M]] | None = None,
    ) -> "SearchResults[RowHit[M]]":
        """One page of what a text finds, marked for people. An empty text finds nothing."""
        asked = Query.parse(query, fold=folded_as_postgresql)
        blank = select(self.model).where(false())
        statement = blank if asked.is_blank else await self.search_hybrid(session, query, within)
        found = await paginate(session, statement, Paging(page=page, size=limit))
        highlighter = Highlighter(asked.marks)
        return SearchResults[Any](
            items=[self._hit(row, highlighter) for row in found.items],
            total=found.total,
            page=found.page,
            pages=found.pages,
            query=asked.text,
        )

    async def rebuild(self, database: Database) -> None:
        """Make the index anew, while the old one answers. Nothing but damage asks for it."""
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(DIALECTS[connection.dialect.name].rebuild(self.fields)))

    async def _embed_later(self, session: AsyncSession, row: M) -> None:
        if later := session.info.get(EMBED_LATER):
            later(session, self.fields.table)

    def _hit(self, row: M, highlighter: Highlighter) -> RowHit[M]:
        name, *others = (getattr(row, field) or "" for field in self.fields.weights)
        return RowHit(
            row,
            self.url.format_map({field: quote(str(value)) for field, value in row.model_dump().items()}),
            Markup(highlighter.name(name)),  # noqa: S704 - it is escaped there
            Markup(highlighter.snippet(" ".join(others))),  # noqa: S704 - as above
        )

    @staticmethod
    def _dialect(session: AsyncSession) -> Dialect:
        return DIALECTS[session.get_bind().dialect.name]


def _refuse(table: Table, fields: Fields, given: Sequence[str], url: str) -> None:
    if not given:
        raise OperatorError(f"{table.name} has no fields to be searched by.")
    texts = [column.name for column in table.columns if isinstance(getattr(column.type, "impl", column.type), String)]
    for name, weight in fields.weights.items():
        if name not in given or name not in texts:
            raise OperatorError(f"{table.name} cannot be searched by {name}: its texts are {', '.join(texts)}.")
        if weight not in WEIGHTS:
            raise OperatorError(f"The weight of {name} in {table.name} is {weight}: it is one of A, B, C and D.")
    for _, part, _, _ in Formatter().parse(url):
        if part is not None and part not in table.columns:
            raise OperatorError(
                f"The address {url} of {table.name} has a part {{{part}}}: name a column, such as {{id}}."
            )


@post_migrate
def due(connection: Connection) -> list[str]:
    """The statements that bring the indexes of all searchable models in line with their tables."""
    inspector = look_into(connection)
    there = [
        fields
        for fields in registered.values()
        if inspector.has_table(fields.table)
        and fields.weights.keys() <= {column["name"] for column in inspector.get_columns(fields.table)}
    ]
    statements = DIALECTS[connection.dialect.name].due(connection, there)
    tables = inspector.get_table_names()
    if any(name.startswith(VECTORS_PREFIX) for name in tables):
        wanted = [*there, *(fields_of(index) for index in document_indexes.by_meaning.values())]
        statements += VECTORS[connection.dialect.name].due(connection, wanted, tables)
    return statements
