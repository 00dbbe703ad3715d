"""Jobs that compute the embeddings of changed rows in batches."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.embedding_batches import embed_accepted
from opportune.db import before_commit
from opportune.db.database import Database
from opportune.jobs import JobContext, defer, job
from opportune.search import registry
from opportune.search.embeddings import BATCH_TEXTS, EMBED_LATER, EMBEDDINGS, Embeddings, Vector
from opportune.services.clock import clock

DELAY_SECONDS = 5
"""Seconds from the first change until the job runs."""
WINDOW_SECONDS = 2
"""Changes that are committed in this time share a job. It is shorter than the delay, so that the job sees them all."""


@job("jobs.embed_rows", attempts=10, wait=5)
async def embed_rows(run: JobContext, table: str) -> None:
    """Compute the missing embeddings of a searchable table; all of them after a change of EMBEDDING_MODEL."""
    embeddings = run.database.info.get(EMBEDDINGS)
    fields = registry.registered.get(table)
    vectors = registry.VECTORS[run.database.engine.dialect.name]
    if not (embeddings and fields and fields.by_meaning) or not await vectors.is_possible(run.database):
        return
    async with run.database.writer() as session:
        edition = await vectors.begin_edition(session, fields, embeddings.model.made_of)
    done_count = last_id = 0
    while True:
        async with run.database.reader(fresh=True) as session:
            rows = await vectors.find_rows_without_vector(session, fields, edition, last_id, BATCH_TEXTS)
        if not rows:
            break
        row_vectors = dict(zip(rows, await _embed_row_texts(embeddings, rows), strict=True))
        async with run.database.writer() as session:
            await vectors.add(session, fields, edition, row_vectors)
        last_id = rows[-1].id
        done_count += len(rows)
        await run.progress(done_count, 0, f"{done_count} rows of {table}")
    async with run.database.writer() as session:
        await vectors.finish_edition(session, fields, edition)


@job("jobs.embed_all", schedule="17 4 * * *")
async def embed_all(run: JobContext) -> None:
    """Compute all missing embeddings, including those of rows changed outside the site."""
    for table in [fields.table for fields in registry.registered.values() if fields.by_meaning]:
        await embed_rows.function(run, table)


async def _embed_row_texts(embeddings: Embeddings, rows: Sequence[Any]) -> list[Vector | None]:
    """Return the vectors of the rows in order; None for a row without text."""
    texts = [_text_of(row) for row in rows]
    embedded_texts = [text for text in texts if text]
    vectors = await embed_accepted(embeddings, embedded_texts) if embedded_texts else ()
    vectors_by_text = dict(zip(embedded_texts, vectors, strict=True))
    return [vectors_by_text.get(text) for text in texts]


def _text_of(row: Any) -> str:
    _id, *columns = row
    return "\n".join(filter(None, columns)).strip()


def embed_later(session: AsyncSession, table: str) -> None:
    """Queue one job for the changes of a few seconds, in the transaction of the first change."""

    async def queue() -> None:  # at the end of the transaction, which may take longer than the delay of another job
        key = f"embed {table} {int(clock.now()) // WINDOW_SECONDS}"
        defer(session, embed_rows(table), key=key, delay=DELAY_SECONDS)

    before_commit(session, queue)


def connect_embeddings(database: Database, embeddings: Embeddings) -> None:
    """Connect the database's sessions to the site's embeddings."""
    database.info |= {EMBEDDINGS: embeddings, EMBED_LATER: embed_later}
    database.reading_info[EMBEDDINGS] = embeddings


@asynccontextmanager
async def embed_when_started(app: Any) -> AsyncIterator[None]:
    """Queue the missing embeddings when a site starts, at most once a minute for all its processes."""
    if EMBEDDINGS in app.state.database.info:
        await app.state.jobs.enqueue(embed_all(), key=f"embed all {int(clock.now()) // 60}")
    yield
