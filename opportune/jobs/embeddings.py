"""Embeddings of rows, made in batches after their change."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.errors import ServiceError
from opportune.jobs import JobContext, defer, job
from opportune.search import IndexMissing
from opportune.search.documents import index as document_indexes
from opportune.search.documents.vectors import DocumentVectors, entries_of
from opportune.search.embeddings import Embeddings, Vector
from opportune.search.models import searchable
from opportune.search.models.hybrid import VECTORS

TAKEN_TEXT = "A text."
"""Taken by any endpoint that takes one at all."""
BATCH_ROWS = 64
"""Rows whose texts are sent at once."""
DELAY_SECONDS = 5
"""Seconds for which changes are collected."""

logger = logging.getLogger(__name__)


@job("jobs.embed_rows", attempts=10, wait=5)
async def embed_rows(run: JobContext, table: str) -> None:
    """Make the embeddings that rows of a searchable table lack; all of them, where EMBEDDING_MODEL is another."""

    embeddings, fields = run.llm.embeddings, searchable.registered.get(table)
    vectors = VECTORS[run.database.engine.dialect.name]
    if not (embeddings and fields and fields.by_meaning) or not await vectors.is_possible(run.database):
        return
    async with run.database.writer() as session:
        edition = await vectors.begin_edition(session, fields, embeddings.model.made_of)
    done = last = 0
    while True:
        async with run.database.reader(fresh=True) as session:
            rows = await vectors.missing(session, fields, edition, last, BATCH_ROWS)
        if not rows:
            break
        found = dict(zip(rows, await _vectors(embeddings, rows), strict=True))
        async with run.database.writer() as session:
            await vectors.add(session, fields, edition, found)
        last, done = rows[-1].id, done + len(rows)
        await run.progress(done, done, f"rows of {table}")
    async with run.database.writer() as session:
        await vectors.finish_edition(session, fields, edition)


@job("jobs.embed_documents", attempts=10, wait=5)
async def embed_documents(run: JobContext, name: str) -> None:
    """Make the embeddings that the documents of an index lack."""

    embeddings, index = run.llm.embeddings, document_indexes.by_meaning.get(name)
    if not (embeddings and index):
        return
    vectors = DocumentVectors(index, run.database)
    if not await vectors.vectors.is_possible(run.database):
        return
    search = index.open(run.settings, run.database)
    try:
        entries = {entry.id: entry async for entry in entries_of(search.engine)}
    except IndexMissing:
        return
    finally:
        await search.close()
    edition = await vectors.begin(embeddings.model.made_of)
    there = await vectors.there(edition)
    missing = [entry for entry in entries.values() if entry.id not in there]
    for start in range(0, len(missing), BATCH_ROWS):
        batch = missing[start : start + BATCH_ROWS]
        found = await _of_texts(embeddings, [entry.text for entry in batch])
        await vectors.add(edition, [*zip(batch, found, strict=True)])
        await run.progress(start + len(batch), len(missing), f"documents of {name}")
    await vectors.finish(edition, [*there - entries.keys()])


@job("jobs.embed_all", schedule="17 4 * * *")
async def embed_all(run: JobContext) -> None:
    """Make what is missing: of rows that statements, commands or other programs have changed."""

    for name in [*document_indexes.by_meaning] if run.llm.embeddings else ():
        await embed_documents.function(run, name)
    for table in [
        fields.table for fields in searchable.registered.values() if fields.by_meaning and run.llm.embeddings
    ]:
        await embed_rows.function(run, table)


async def _vectors(embeddings: Embeddings, rows: Sequence[Any]) -> list[Vector | None]:
    """Of each row, in their order; of one without a text none."""
    texts = ["\n".join(filter(None, row[1:])).strip() for row in rows]
    found = iter(await _of_texts(embeddings, [text for text in texts if text]) if any(texts) else ())
    return [next(found) if text else None for text in texts]


async def _of_texts(embeddings: Embeddings, texts: Sequence[str]) -> list[Vector | None]:
    """Of each text, in their order; of one that the endpoint does not take none, so that it keeps no other waiting.

    Raises:
        ServiceError: The endpoint gives no embedding of any text.
    """
    try:
        return [*await embeddings.of_texts(texts)]
    except ServiceError as error:
        if error.code != "rejected":
            raise
    await embeddings.of_texts([TAKEN_TEXT])  # else it is not for the text
    if len(texts) == 1:
        logger.warning("EMBEDDING_MODEL does not take a text, which is found by its words alone: %.60r", texts[0])
        return [None]
    half = len(texts) // 2
    return [*await _of_texts(embeddings, texts[:half]), *await _of_texts(embeddings, texts[half:])]


def embed_later(session: AsyncSession, table: str) -> None:
    """Queue the job in the transaction of a change; changes of the next seconds are its work, too."""
    key = f"embed {table} {int(time()) // DELAY_SECONDS}"
    defer(session, embed_rows(table), key=key, delay=DELAY_SECONDS)


def embed_documents_later(session: AsyncSession, name: str, edition: str) -> None:
    """Queue the job for an edition of an index once, however many processes see it."""
    defer(session, embed_documents(name), key=f"embed documents {name} {edition}")


def connect_embeddings(database: Database, embeddings: Embeddings | None) -> None:
    """Have the sessions of a database know the site's embeddings, where there are any."""
    if embeddings is None:
        return
    later = {"embed_later": embed_later, "embed_documents_later": embed_documents_later}
    database.info |= {"embeddings": embeddings, **later}
    database.reading_info["embeddings"] = embeddings


@asynccontextmanager
async def embed_when_started(app: Any) -> AsyncIterator[None]:
    """Queue what is missing when a site starts: once a minute, however many processes it has."""
    if app.state.llm.embeddings is not None:
        await app.state.jobs.enqueue(embed_all(), key=f"embed all {int(time()) // 60}")
    yield
