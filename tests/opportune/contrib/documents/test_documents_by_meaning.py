"""Search of documents by meaning, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from sqlalchemy import text

from opportune.config.settings import Settings
from opportune.contrib.documents import Document, DocumentHit, DocumentIndex, DocumentSearch
from opportune.contrib.documents.build import Contents
from opportune.contrib.documents.databases import store_of
from opportune.contrib.documents.document import by_meaning
from opportune.contrib.documents.jobs import embed_documents
from opportune.contrib.llm import EmbeddingModel
from opportune.contrib.llm_embeddings.embeddings import Embeddings
from opportune.contrib.llm_embeddings.jobs import connect_embeddings
from opportune.db import Database, DatabaseUrl
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.search.registry import vector_tables
from opportune.storage import open_storage
from opportune.testing import RecordedJobs
from tests.opportune.contrib.llm_embeddings.embedding_endpoint import EmbeddingEndpoint, serve_embeddings
from tests.opportune.stored_rows import read_one

TEXTS = {"Baguette": "Of the bakery.", "Kitten": "Feline and small.", "Harbour": "Where a boat lies.", "Loaf": "x"}


class Handbook(DocumentIndex[DocumentHit]):
    path: Path

    def url(self, settings: Settings) -> DatabaseUrl:
        main = DatabaseUrl.parse(settings.database_url.get_secret_value())
        return main if main.kind == "postgresql" else DatabaseUrl.parse(f"sqlite:///{main.path.with_name('book.db')}")


class SearchableHandbook:
    def __init__(self, settings: Settings, database: Database, endpoint: EmbeddingEndpoint) -> None:
        self.index = Handbook("handbook", "the handbook", by_meaning=True)
        self.settings, self.database, self.endpoint = settings, database, endpoint
        self.embeddings = Embeddings(settings, EmbeddingModel(name="small", base_url=endpoint.address))
        self.jobs = RecordedJobs(settings, database, open_storage(settings))
        connect_embeddings(database, self.embeddings)
        self.search: DocumentSearch[DocumentHit] = self.index.open(settings, database)

    def write_index(self, texts: dict[str, str]) -> None:
        store = store_of(self.index, self.index.url(self.settings))
        store.prepare()
        documents = [Document(name.lower(), name, text=text) for name, text in texts.items()]
        store.write(Contents.from_documents("Handbook 1", documents), lambda number: None)

    async def find_names(self, query: str, limit: int = 20, page: int = 1) -> list[str]:
        return [hit.name for hit in (await self.search.find(query, limit=limit, page=page)).items]


@pytest.fixture
async def handbook(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SearchableHandbook]:
    for registry, key in ((by_meaning, "handbook"), (vector_tables, "handbook_documents")):
        monkeypatch.setitem(cast("dict[str, Any]", registry), key, None)  # removed after the test
    async with serve_embeddings(monkeypatch) as endpoint:
        handbook = SearchableHandbook(settings, database, endpoint)
        yield handbook
        await handbook.search.close()
        await handbook.embeddings.close()


@pytest.mark.database("sqlite", "postgresql")
async def test_documents_are_found_by_meaning(handbook: SearchableHandbook, monkeypatch: pytest.MonkeyPatch) -> None:
    handbook.write_index(TEXTS)
    assert await handbook.find_names("sailing") == []
    await handbook.jobs.run(embed_documents("handbook"))
    assert "Baguette\nOf the bakery." in handbook.endpoint.texts
    assert await handbook.find_names("sailing ship") == ["Harbour"]
    assert await handbook.find_names("loaf") == ["Loaf", "Baguette"], "matches of names rank first"
    assert await handbook.find_names('"sailing"') == [], "quoted words are not searched by meaning"
    monkeypatch.setattr("opportune.contrib.documents.jobs.find_nearest", AsyncMock(return_value={7: 0.9}))
    assert await handbook.find_names("sailing ship") == [], "a job has just deleted the document"


@pytest.mark.database("sqlite", "postgresql")
async def test_related_documents_are_found_by_meaning(handbook: SearchableHandbook) -> None:
    handbook.write_index(TEXTS)
    await handbook.jobs.run(embed_documents("handbook"))
    first, *_ = await handbook.search.find_related("Where do people go sailing with their own ship?")
    assert first.name == "Harbour"
    assert first.similarity is not None
    assert 0.5 <= first.similarity <= 1
    assert "similarity" not in first.model_dump_json(), "it is not in the API"
    assert "similarity" not in DocumentHit.model_json_schema(mode="serialization")["properties"]
    assert [hit.name for hit in await handbook.search.find_related("Is `Kitten` like a loaf?", limit=1)] == ["Kitten"]


async def test_only_changed_documents_are_embedded_again(handbook: SearchableHandbook) -> None:
    handbook.write_index(TEXTS)
    await handbook.jobs.run(embed_documents("handbook"))
    handbook.write_index({**TEXTS, "Harbour": "Closed.", "Invoice": "A price."})
    await handbook.search.engine.refresh()
    text_count = len(handbook.endpoint.texts)
    assert await handbook.find_names("baguette") == ["Baguette", "Loaf"]
    await handbook.jobs.run(embed_documents("handbook"))
    assert sorted(handbook.endpoint.texts[text_count + 1 :]) == ["Harbour\nClosed.", "Invoice\nA price."]
    assert await handbook.find_names("cheap") == ["Invoice"]


async def test_new_index_is_embedded_once(handbook: SearchableHandbook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.documents.meaning.CHECK_INTERVAL_SECONDS", 0)
    handbook.write_index(TEXTS)
    with monkeypatch.context() as outage:
        outage.setattr(handbook.database, "writer", Mock(side_effect=TimeoutError))
        assert await handbook.find_names("sailing ship") == []
    assert await handbook.find_names("sailing ship") == []
    assert await handbook.find_names("a sailing ship") == []
    assert handbook.jobs.names == ["jobs.embed_documents"]
    await handbook.jobs.work()
    assert await handbook.find_names("sailing ship") == ["Harbour"]


async def test_unused_vectors_are_deleted(handbook: SearchableHandbook, monkeypatch: pytest.MonkeyPatch) -> None:
    handbook.write_index(TEXTS)
    await handbook.jobs.run(embed_documents("handbook"))
    async with handbook.database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
    assert await handbook.find_names("sailing ship") == ["Harbour"]
    monkeypatch.delitem(vector_tables, "handbook_documents")
    async with handbook.database.engine.begin() as connection:
        await connection.run_sync(run_due_statements)
    assert await read_one(handbook.database, text("SELECT count(*) FROM vectors_of_all")) == 0
    assert await handbook.find_names("a sailing ship") == []
