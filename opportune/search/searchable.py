"""Full-text search for a model, also by words and meaning together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from markupsafe import Markup
from sqlalchemy import Select, Table, false, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from opportune.db.database import Database
from opportune.db.hooks.registry import after_create, after_update
from opportune.db.models.indexes import is_indexable
from opportune.errors import OperatorError
from opportune.pagination import Paging, paginate
from opportune.search import registry
from opportune.search.embeddings import EMBED_LATER, EMBEDDINGS
from opportune.search.folding import fold_like_postgresql
from opportune.search.hybrid import find_nearest, fuse
from opportune.search.indexes import WEIGHTS, Dialect, Fields
from opportune.search.query import Query
from opportune.search.results import Highlighter, SearchResults

M = TypeVar("M", bound=SQLModel)


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
        registry.registered[table.name] = self.fields
        if by_meaning:
            for hook in (after_create, after_update):
                hook(model)(self._embed_later)

    def search(self, session: AsyncSession, query: str, within: Select[M] | None = None) -> Select[M]:
        """Return a query for the matching rows of `within` or the model, the best first. An empty text matches all."""
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
        matches = self._dialect(session).matching(statement, self.fields, query)
        return fuse(statement, self.fields, matches, nearest)

    async def find(
        self, session: AsyncSession, query: str, *, limit: int = 20, page: int = 1, within: Select[M] | None = None
    ) -> "SearchResults[RowHit[M]]":
        """Return one page of results with highlighted texts. An empty query has no results."""
        parsed = Query.parse(query, normalize=fold_like_postgresql)
        statement = select(self.model).where(false())
        if not parsed.is_blank:
            statement = await self.search_hybrid(session, query, within)
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
            await connection.execute(text(registry.DIALECTS[connection.dialect.name].rebuild(self.fields)))

    async def _embed_later(self, session: AsyncSession, row: M) -> None:
        if queue_embedding := session.info.get(EMBED_LATER):
            queue_embedding(session, self.fields.table)

    def _hit(self, row: M, highlighter: Highlighter) -> RowHit[M]:
        name, *texts = (getattr(row, field) or "" for field in self.fields.weights)
        return RowHit(
            row,
            self.url.format_map({field: quote(str(value)) for field, value in row.model_dump().items()}),
            Markup(highlighter.mark(name)),  # noqa: S704 - escaped by the highlighter
            Markup(highlighter.snippet(" ".join(texts))),  # noqa: S704 - escaped by the highlighter
        )

    @staticmethod
    def _dialect(session: AsyncSession) -> Dialect:
        return registry.DIALECTS[session.get_bind().dialect.name]


def _validate(table: Table, fields: Fields, names: Sequence[str], url: str) -> None:
    if not names or isinstance(names, str):
        raise OperatorError(f'Searchable of {table.name} needs a list of fields, such as fields=["title"].')
    texts = [column.name for column in table.columns if is_indexable(column)]
    for name, weight in fields.weights.items():
        if name not in names:
            raise OperatorError(
                f"Searchable of {table.name} has a weight for {name}, which is not in its fields. "
                "Add it there, or remove the weight."
            )
        if name not in texts:
            raise OperatorError(f"{table.name} cannot be searched by {name}. Its text columns are {', '.join(texts)}.")
        if weight not in WEIGHTS:
            raise OperatorError(f"The weight of {name} in {table.name} is {weight}. Use A, B, C or D.")
    for _, part, _, _ in Formatter().parse(url):
        if part is not None and part not in table.columns:
            raise OperatorError(
                f"The address {url} of {table.name} has an unknown column {{{part}}}. Use a column such as {{id}}."
            )
