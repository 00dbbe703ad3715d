"""Vectors of documents in the site's database, by content hash, so that no text is embedded twice."""

from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import delete, select

from opportune.contrib.documents.document import IndexDefinition
from opportune.contrib.documents.engine import Engine
from opportune.db.database import Database
from opportune.db.queries.batches import batches_of
from opportune.search.indexes import Fields
from opportune.search.searchable import VECTORS, find_nearest
from opportune.search.vectors import Edition, Embeddings, Vector, Vectors

READ_ROWS = 500


class Entry(NamedTuple):
    """A document to embed."""

    id: int
    """Content hash; a changed document gets a new one."""
    slug: str
    text: str


def vector_fields_of(index: IndexDefinition[Any]) -> Fields:
    """Return fields for the tables of vectors. A document index has no separate table in the site's database."""
    return Fields(f"{index.name}_documents", {}, by_meaning=True, has_documents=True)


async def find_similar(
    index: IndexDefinition[Any], database: Database, question: str, embeddings: Embeddings
) -> Mapping[str, float]:
    """Return slugs and similarities (0.5 to 1) of documents by meaning, the most similar first."""
    fields = vector_fields_of(index)
    rows = VECTORS[database.engine.dialect.name].rows(fields)
    async with database.reader() as session:
        nearest = await find_nearest(session, None, fields, question, embeddings)
        if not nearest:
            return {}
        statement = select(rows.c.id, rows.c.slug).where(rows.c.id.in_(nearest))
        slugs = {row.id: row.slug for row in await session.execute(statement)}
    lowest = embeddings.model.min_similarity
    span = 1 - lowest or 1  # a model may accept equal texts only
    return {slugs[row_id]: 0.5 + 0.5 * (similarity - lowest) / span for row_id, similarity in nearest.items()}


class DocumentVectors:
    """Writer of the vectors of an index."""

    def __init__(self, index: IndexDefinition[Any], database: Database) -> None:
        self.database = database
        self.vectors: Vectors = VECTORS[database.engine.dialect.name]
        self.fields = vector_fields_of(index)
        self.rows = self.vectors.rows(self.fields)

    async def begin(self, made_of: str) -> Edition:
        async with self.database.writer() as session:
            return await self.vectors.begin_edition(session, self.fields, made_of)

    async def find_embedded_ids(self, edition: Edition) -> set[int]:
        """Return the ids of documents with a vector."""
        async with self.database.reader(fresh=True) as session:
            statement = select(self.rows.c.id).where(self.rows.c.edition == edition.number)
            return {*await session.scalars(statement)}

    async def add(self, edition: Edition, vectors: Sequence[tuple[Entry, Vector | None]]) -> None:
        new = [
            {"id": entry.id, "edition": edition.number, "slug": entry.slug, **self.vectors.column_values(vector)}
            for entry, vector in vectors
        ]
        ids = [row["id"] for row in new]
        is_replaced = self.rows.c.id.in_(ids), self.rows.c.edition == edition.number
        async with self.database.writer() as session:
            await session.execute(delete(self.rows).where(*is_replaced))
            await session.execute(self.vectors.insertion(self.rows, new[0]), new)

    async def finish(self, edition: Edition, obsolete_ids: Sequence[int]) -> None:
        """Mark an edition as complete, without the vectors of obsolete documents."""
        async with self.database.writer() as session:
            for ids in batches_of(obsolete_ids, READ_ROWS):
                await session.execute(delete(self.rows).where(self.rows.c.id.in_(ids)))
            await self.vectors.finish_edition(session, self.fields, edition)


async def read_entries(engine: Engine) -> AsyncIterator[Entry]:
    """Yield all documents of an index.

    Raises:
        IndexMissing: The index has not been built.
    """
    last = 0
    while rows := await engine.read_texts(last, READ_ROWS):
        last = rows[-1]["id"]
        for row in rows:
            text = "\n".join(filter(None, (row["name"], row["title"], row["text"])))
            digest = blake2b(f"{row['slug']}\0{text}".encode(errors="replace"), digest_size=8).digest()
            yield Entry(int.from_bytes(digest) >> 1, row["slug"], text)
