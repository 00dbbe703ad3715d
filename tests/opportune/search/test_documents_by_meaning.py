"""Search of documents by meaning, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.db.url.database_url import DatabaseURL
from opportune.llm import EmbeddingModel, LanguageModel
from opportune.llm.embeddings.jobs import connect_embeddings, embed_all
from opportune.search import Document, DocumentHit, DocumentIndex, DocumentSearch
from opportune.search.documents import index as indexes
from opportune.search.documents.contents import Contents
from opportune.storage import open_storage
from opportune.testing import RecordedJobs
from tests.opportune.llm.embeddings.embedding_endpoint import EmbeddingEndpoint, serve_embeddings

ENTRIES = {"Baguette": "Of the bakery.", "Kitten": "Feline and small.", "Harbour": "Where a boat lies.", "Loaf": "x"}


class Handbook(DocumentIndex[DocumentHit]):
    path: Path

    def url(self, settings: Settings) -> DatabaseURL:
        """Beside the site's SQLite file, or in its PostgreSQL database."""
        main = DatabaseURL.parse(settings.database_url.get_secret_value())
        return main if main.kind == "postgresql" else DatabaseURL.parse(f"sqlite:///{main.path.with_name('book.db')}")


class Shelf:
    def __init__(self, settings: Settings, database: Database, endpoint: EmbeddingEndpoint) -> None:
        self.index = Handbook("handbook", "the handbook", by_meaning=True)
        self.settings, self.database, self.endpoint = settings, database, endpoint
        model = EmbeddingModel(name="small", base_url=endpoint.address)
        self.llm = LanguageModel.of(settings.model_copy(update={"embedding_model": model}))
        self.jobs = RecordedJobs(settings, database, open_storage(settings), llm=self.llm)
        connect_embeddings(database, self.llm.embeddings)
        self.search: DocumentSearch[DocumentHit] = self.index.open(settings, database)

    def write(self, entries: dict[str, str]) -> None:
        store = self.index.store(self.index.url(self.settings))
        store.prepare()
        documents = [Document(name.lower(), name, text=words) for name, words in entries.items()]
        store.write(Contents.from_documents("Handbook 1", documents, 0), lambda number: None)

    async def names(self, query: str, limit: int = 20, page: int = 1) -> list[str]:
        return [hit.name for hit in (await self.search.find(query, limit=limit, page=page)).items]


@pytest.fixture
async def shelf(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shelf]:
    monkeypatch.setattr(indexes, "by_meaning", {})
    async with serve_embeddings(monkeypatch) as endpoint:
        shelf = Shelf(settings, database, endpoint)
        yield shelf
        await shelf.search.close()
        await shelf.llm.close()


async def test_documents_are_found_by_meaning(
    shelf: Shelf,
) -> None:
    await shelf.jobs.run(embed_all())
    assert shelf.endpoint.bodies == [], "nothing is embedded without an index"
    shelf.write(ENTRIES)
    assert await shelf.names("sailing") == []
    await shelf.jobs.run(embed_all())
    assert "Baguette\nOf the bakery." in shelf.endpoint.texts
    assert await shelf.names("sailing ship") == ["Harbour"]
    assert await shelf.names("loaf") == ["Loaf", "Baguette"], "matches of names rank first"
    assert await shelf.names('"sailing"') == []

    first, *_ = await shelf.search.find_related("Where do people go sailing with their own ship?")
    assert first.name == "Harbour"
    assert first.similarity is not None
    assert 0.5 <= first.similarity <= 1
    assert "similarity" not in first.model_dump_json()
    assert "similarity" not in DocumentHit.model_json_schema(mode="serialization")["properties"]
    assert [hit.name for hit in await shelf.search.find_related("Is `Kitten` like a loaf?", limit=1)] == ["Kitten"]

    shelf.write({**ENTRIES, "Harbour": "Closed.", "Invoice": "A price."})
    await shelf.search.refresh()
    sent = len(shelf.endpoint.texts)
    assert await shelf.names("baguette") == ["Baguette", "Loaf"]
    await shelf.jobs.run(embed_all())
    assert sorted(shelf.endpoint.texts[sent + 1 :]) == ["Harbour\nClosed.", "Invoice\nA price."]
    assert await shelf.names("cheap") == ["Invoice"]


@pytest.mark.database("sqlite")
async def test_index_of_another_process_is_embedded_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.search.documents.search.CHECK_INTERVAL_SECONDS", 0)
    shelf.write(ENTRIES)
    assert await shelf.names("sailing ship") == []
    assert await shelf.names("a sailing ship") == []
    assert shelf.jobs.names == ["jobs.embed_documents"]
    await shelf.jobs.work()
    assert await shelf.names("sailing ship") == ["Harbour"]


@pytest.mark.database("sqlite")
async def test_pages_have_a_stable_order(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.search.documents.search.MAX_FUSED", 3)
    shelf.write({f"Page {number}": "About a price." for number in range(7)} | {"Note": "Cheap money."})
    await shelf.jobs.run(embed_all())
    found = [name for page in (1, 2, 3, 4) for name in await shelf.names("price", limit=2, page=page)]
    assert "Note" in found
    results = await shelf.search.find("price", limit=2)
    assert results.total >= 8
    assert {f"Page {number}" for number in range(3)} <= {*found}


@pytest.mark.database("sqlite")
async def test_unused_document_vectors_are_deleted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.write(ENTRIES)
    await shelf.jobs.run(embed_all())
    async with shelf.database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
    assert await shelf.names("sailing ship") == ["Harbour"]
    monkeypatch.setattr(indexes, "by_meaning", {})
    async with shelf.database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
    async with shelf.database.reader() as session:
        assert await session.scalar(text("SELECT count(*) FROM vectors_of_all")) == 0
    assert await shelf.names("a sailing ship") == []
