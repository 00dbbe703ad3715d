"""Jobs that compute the embeddings of changed rows and documents in batches."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.errors import ServiceError
from opportune.jobs import JobContext, defer, job
from opportune.llm.language_model import LanguageModel
from opportune.search import IndexMissing
from opportune.search.documents import index as document_indexes
from opportune.search.documents.vectors import DocumentVectors, read_entries
from opportune.search.embeddings import Embeddings, Vector
from opportune.search.models import searchable
from opportune.search.models.hybrid import VECTORS

SAMPLE_TEXT = "A text."  # not translated
"""A text that every working endpoint accepts."""
BATCH_ROWS = 64
"""Texts per request."""
DELAY_SECONDS = 5
"""Seconds in which changes are collected before the job runs."""

logger = logging.getLogger(__name__)


@job("jobs.embed_rows", attempts=10, wait=5)
async def embed_rows(run: JobContext, table: str) -> None:
    """Compute the missing embeddings of a searchable table; all of them after a change of EMBEDDING_MODEL."""
    embeddings, fields = run.service(LanguageModel).embeddings, searchable.registered.get(table)
    vectors = VECTORS[run.database.engine.dialect.name]
    if not (embeddings and fields and fields.by_meaning) or not await vectors.is_possible(run.database):
        return
    async with run.database.writer() as session:
        edition = await vectors.begin_edition(session, fields, embeddings.model.made_of)
    done_count = last_id = 0
    while True:
        async with run.database.reader(fresh=True) as session:
            rows = await vectors.find_rows_without_vector(session, fields, edition, last_id, BATCH_ROWS)
        if not rows:
            break
        row_vectors = dict(zip(rows, await _embed_row_texts(embeddings, rows), strict=True))
        async with run.database.writer() as session:
            await vectors.add(session, fields, edition, row_vectors)
        last_id, done_count = rows[-1].id, done_count + len(rows)
        await run.progress(done_count, done_count, f"rows of {table}")
    async with run.database.writer() as session:
        await vectors.finish_edition(session, fields, edition)


@job("jobs.embed_documents", attempts=10, wait=5)
async def embed_documents(run: JobContext, name: str) -> None:
    """Compute the missing embeddings of a document index."""
    embeddings, index = run.service(LanguageModel).embeddings, document_indexes.by_meaning.get(name)
    if not (embeddings and index):
        return
    vectors = DocumentVectors(index, run.database)
    if not await vectors.vectors.is_possible(run.database):
        return
    search = index.open(run.settings, run.database)
    try:
        entries = {entry.id: entry async for entry in read_entries(search.engine)}
    except IndexMissing:
        return
    finally:
        await search.close()
    edition = await vectors.begin(embeddings.model.made_of)
    existing = await vectors.find_embedded_ids(edition)
    missing = [entry for entry in entries.values() if entry.id not in existing]
    for start in range(0, len(missing), BATCH_ROWS):
        batch = missing[start : start + BATCH_ROWS]
        batch_vectors = await _embed_texts(embeddings, [entry.text for entry in batch])
        await vectors.add(edition, [*zip(batch, batch_vectors, strict=True)])
        await run.progress(start + len(batch), len(missing), f"documents of {name}")
    await vectors.finish(edition, [*existing - entries.keys()])


@job("jobs.embed_all", schedule="17 4 * * *")
async def embed_all(run: JobContext) -> None:
    """Compute all missing embeddings, including those of rows changed outside the site."""
    if run.service(LanguageModel).embeddings is None:
        return
    for name in [*document_indexes.by_meaning]:
        await embed_documents.function(run, name)
    for table in [fields.table for fields in searchable.registered.values() if fields.by_meaning]:
        await embed_rows.function(run, table)


async def _embed_row_texts(embeddings: Embeddings, rows: Sequence[Any]) -> list[Vector | None]:
    """Return the vectors of the rows in order; None for a row without text."""
    texts = ["\n".join(filter(None, row[1:])).strip() for row in rows]
    vectors = iter(await _embed_texts(embeddings, [text for text in texts if text]) if any(texts) else ())
    return [next(vectors) if text else None for text in texts]


async def _embed_texts(embeddings: Embeddings, texts: Sequence[str]) -> list[Vector | None]:
    """Return the vectors of the texts in order; None for a text that the endpoint rejects.

    Raises:
        ServiceError: The endpoint fails.
    """
    try:
        return [*await embeddings.embed_texts(texts)]
    except ServiceError as error:
        if error.code != "rejected":
            raise
    await embeddings.embed_texts([SAMPLE_TEXT])  # raises if the endpoint rejects every text
    if len(texts) == 1:
        logger.warning("EMBEDDING_MODEL rejects a text, which is searched by words only: %.60r", texts[0])
        return [None]
    half = len(texts) // 2
    return [*await _embed_texts(embeddings, texts[:half]), *await _embed_texts(embeddings, texts[half:])]


def embed_later(session: AsyncSession, table: str) -> None:
    """Queue one job for the changes of a few seconds, in the transaction of the first change."""
    key = f"embed {table} {int(time()) // DELAY_SECONDS}"
    defer(session, embed_rows(table), key=key, delay=DELAY_SECONDS)


def embed_documents_later(session: AsyncSession, name: str, edition: str) -> None:
    """Queue the job once per edition of an index, even if several processes call this."""
    defer(session, embed_documents(name), key=f"embed documents {name} {edition}")


def connect_embeddings(database: Database, embeddings: Embeddings | None) -> None:
    """Connect the database's sessions to the site's embeddings, if there are any."""
    if embeddings is None:
        return
    later = {"embed_later": embed_later, "embed_documents_later": embed_documents_later}
    database.info |= {"embeddings": embeddings, **later}
    database.reading_info["embeddings"] = embeddings


@asynccontextmanager
async def embed_when_started(app: Any) -> AsyncIterator[None]:
    """Queue the missing embeddings when a site starts, at most once a minute for all its processes."""
    if app.state.llm.embeddings is not None:
        await app.state.jobs.enqueue(embed_all(), key=f"embed all {int(time()) // 60}")
    yield
