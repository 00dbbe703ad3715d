"""Vectors of documents in the site's database: the job that computes them, and the search for similar documents.

They are stored by content hash, so that no text is embedded twice.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import TableClause, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.documents.databases import engine_for
from opportune.contrib.documents.document import IndexDefinition, IndexMissing, by_meaning
from opportune.contrib.documents.engine import Engine
from opportune.contrib.embedding_batches import embed_accepted
from opportune.db.database import Database
from opportune.db.queries.batches import batches_of
from opportune.jobs import JobContext, job
from opportune.search.embeddings import BATCH_TEXTS, EMBEDDINGS, Embeddings, Vector
from opportune.search.hybrid import find_nearest
from opportune.search.indexes import Fields
from opportune.search.registry import VECTORS
from opportune.search.vectors import Edition, Vectors

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
    # A job may have deleted a row since the first statement.
    return {slugs[key]: 0.5 + 0.5 * (value - lowest) / span for key, value in nearest.items() if key in slugs}


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


@job("jobs.embed_documents", attempts=10, wait=5)
async def embed_documents(run: JobContext, name: str) -> None:
    """Compute the missing embeddings of a document index; all of them after a change of EMBEDDING_MODEL."""
    embeddings = run.database.info.get(EMBEDDINGS)
    index = by_meaning.get(name)
    vectors = VECTORS[run.database.engine.dialect.name]
    if embeddings is None or index is None or not await vectors.is_possible(run.database):
        return
    engine = engine_for(index, run.settings, run.database)()
    try:
        entries = {entry.id: entry async for entry in read_entries(engine)}
    except IndexMissing:
        return
    finally:
        await engine.close()
    fields = vector_fields_of(index)
    rows = vectors.rows(fields)
    async with run.database.writer() as session:
        edition = await vectors.begin_edition(session, fields, embeddings.model.made_of)
    async with run.database.reader(fresh=True) as session:
        existing = {*await session.scalars(select(rows.c.id).where(rows.c.edition == edition.number))}
    missing = [entry for entry in entries.values() if entry.id not in existing]
    for start in range(0, len(missing), BATCH_TEXTS):
        batch = missing[start : start + BATCH_TEXTS]
        batch_vectors = await embed_accepted(embeddings, [entry.text for entry in batch])
        async with run.database.writer() as session:
            await add_vectors(session, vectors, rows, edition, [*zip(batch, batch_vectors, strict=True)])
        await run.progress(start + len(batch), len(missing), f"documents of {name}")
    async with run.database.writer() as session:
        for ids in batches_of([*existing - entries.keys()], READ_ROWS):
            await session.execute(delete(rows).where(rows.c.id.in_(ids)))
        await vectors.finish_edition(session, fields, edition)


async def add_vectors(
    session: AsyncSession,
    vectors: Vectors,
    rows: TableClause,
    edition: Edition,
    embedded: Sequence[tuple[Entry, Vector | None]],
) -> None:
    """Store the vectors of documents, instead of those with the same ids."""
    values = [
        {"id": entry.id, "edition": edition.number, "slug": entry.slug, **vectors.column_values(vector)}
        for entry, vector in embedded
    ]
    ids = [row["id"] for row in values]
    await session.execute(delete(rows).where(rows.c.id.in_(ids), rows.c.edition == edition.number))
    await session.execute(vectors.insertion(rows, values[0]), values)
