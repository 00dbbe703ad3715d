"""Job that reads a document and stores its passages."""

import asyncio
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import delete, insert
from sqlmodel import col

from opportune.contrib.extraction.pages import Limits, Page, Unreadable
from opportune.contrib.extraction.reader import DocumentReader
from opportune.contrib.knowledge.models import MAX_TITLE_LENGTH, DocumentState, KnowledgeDocument, KnowledgePassage
from opportune.contrib.knowledge.splitting import split_text
from opportune.contrib.knowledge.web_page import fetch_page
from opportune.jobs import JobContext, job
from opportune.search.embeddings import EMBED_LATER

LIMITS = Limits(max_pages=2_000, max_length=5_000_000, max_seconds=600)
BATCH_PAGES = 20
"""Pages that are stored in one transaction."""
UNREAD = {"problem": "", "pages_read": 0, "page_count": 0, "is_cut": False, "passage_count": 0}


class DocumentGone(Exception):
    """The document was deleted while it was read."""


async def _store_failure(run: JobContext, _error: Exception, document_id: int) -> None:
    await _fail(run, document_id, "unavailable")


@job("knowledge.index_document", attempts=3, wait=30, queue="knowledge", on_failure=_store_failure)
async def index_document(run: JobContext, document_id: int) -> None:
    """Read a document and store its passages. Documents are read one after the other, because each needs memory."""
    try:
        document = await _update(run, document_id, UNREAD | {"state": DocumentState.READING})
        await _store_passages(run, document)
    except DocumentGone:
        return
    except Unreadable as problem:
        await _fail(run, document_id, str(problem))


async def _fail(run: JobContext, document_id: int, problem: str) -> None:
    with suppress(DocumentGone):
        await _update(run, document_id, {"state": DocumentState.FAILED, "problem": problem})


async def _store_passages(run: JobContext, document: KnowledgeDocument) -> None:
    if document.url:
        page = await fetch_page(document.url, run.settings.max_upload_bytes)
        reader = DocumentReader(page.filename, page.content, LIMITS)
    else:
        reader = DocumentReader(document.title, await run.storage.read(document.file), LIMITS)
    pages: Generator[Page, None, None] = reader.pages()
    values: dict[str, Any] = {"pages_read": 0, "passage_count": 0}
    try:
        while batch := await asyncio.to_thread(lambda: list(islice(pages, BATCH_PAGES))):
            if document.url and not values["pages_read"] and batch[0].heading:
                values["title"] = document.title = batch[0].heading[:MAX_TITLE_LENGTH]
            rows = list(passage_rows(document, batch, values["passage_count"]))
            values["pages_read"] += len(batch)
            values["passage_count"] += len(rows)
            await _update(run, document.id, values | {"page_count": reader.total}, rows)
            await run.progress(values["pages_read"], max(reader.total, values["pages_read"]), document.title)
    finally:
        with suppress(ValueError):  # its thread still runs after a cancellation, and ends it then
            pages.close()
    await _update(run, document.id, {"state": DocumentState.READY, "is_cut": reader.is_cut})


def passage_rows(document: KnowledgeDocument, pages: Sequence[Page], last_number: int) -> Iterator[dict[str, Any]]:
    for page in pages:
        has_heading = page.heading and page.heading != document.title
        heading = f"{document.title} · {page.heading}" if has_heading else document.title
        for text in split_text(page.text):
            last_number += 1
            yield {
                "document_id": document.id,
                "number": last_number,
                "page": page.number,
                "heading": heading,
                "text": text,
            }


async def _update(
    run: JobContext, document_id: int, values: dict[str, Any], passages: Sequence[dict[str, Any]] = ()
) -> KnowledgeDocument:
    """Change a document and add passages. A document that is read anew loses its passages.

    Raises:
        DocumentGone: The document was deleted.
    """
    async with run.database.writer() as session:
        document = await session.get(KnowledgeDocument, document_id, with_for_update=True)
        if document is None:
            raise DocumentGone
        for name, value in values.items():
            setattr(document, name, value)
        if values.get("state") == DocumentState.READING:
            await session.execute(delete(KnowledgePassage).where(col(KnowledgePassage.document_id) == document_id))
        if passages:
            await session.execute(insert(KnowledgePassage), passages)
            if embed_later := session.info.get(EMBED_LATER):
                embed_later(session, KnowledgePassage.__tablename__)
    return document
