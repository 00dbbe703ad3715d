"""Job that computes the embeddings of an index of documents."""

from opportune.contrib.documents.databases import engine_for
from opportune.contrib.documents.document import IndexMissing, by_meaning
from opportune.contrib.documents.vectors import DocumentVectors, read_entries
from opportune.jobs import JobContext, job
from opportune.search.vectors import BATCH_TEXTS, EMBEDDINGS, embed_accepted


@job("jobs.embed_documents", attempts=10, wait=5)
async def embed_documents(run: JobContext, name: str) -> None:
    """Compute the missing embeddings of a document index; all of them after a change of EMBEDDING_MODEL."""
    embeddings, index = run.database.info.get(EMBEDDINGS), by_meaning.get(name)
    if embeddings is None or index is None:
        return
    vectors = DocumentVectors(index, run.database)
    if not await vectors.vectors.is_possible(run.database):
        return
    engine = engine_for(index, run.settings, run.database)()
    try:
        entries = {entry.id: entry async for entry in read_entries(engine)}
    except IndexMissing:
        return
    finally:
        await engine.close()
    edition = await vectors.begin(embeddings.model.made_of)
    existing = await vectors.find_embedded_ids(edition)
    missing = [entry for entry in entries.values() if entry.id not in existing]
    for start in range(0, len(missing), BATCH_TEXTS):
        batch = missing[start : start + BATCH_TEXTS]
        batch_vectors = await embed_accepted(embeddings, [entry.text for entry in batch])
        await vectors.add(edition, [*zip(batch, batch_vectors, strict=True)])
        await run.progress(start + len(batch), len(missing), f"documents of {name}")
    await vectors.finish(edition, [*existing - entries.keys()])
