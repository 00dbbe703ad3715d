"""Search of rows by meaning, on both databases."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlmodel import col

from opportune.config.settings import Settings
from opportune.contrib.llm import EmbeddingModel, LlmError
from opportune.contrib.llm_embeddings.embeddings import Embeddings
from opportune.contrib.llm_embeddings.jobs import connect_embeddings, embed_all, embed_rows
from opportune.db.database import Database
from opportune.db.hooks.registry import temporary_hooks
from opportune.db.migrations.post_migrate import due_statements
from opportune.search import Searchable
from opportune.services.clock import clock
from opportune.storage import open_storage
from opportune.testing import RecordedJobs
from tests.opportune.contrib.llm.providers.endpoint import response
from tests.opportune.contrib.llm_embeddings.embedding_endpoint import EmbeddingEndpoint, serve_embeddings
from tests.opportune.search.books import Book, create_indexes, make_tables
from tests.opportune.stored_rows import add_rows, execute, read_one

WORDS = {"Baguette": "Of the bakery.", "Kitten": "Feline and small.", "Harbour": "Where a boat lies."}
SUMMARIES: dict[str, str | None] = {**WORDS, "Empty": None}
PRICES: dict[str, str | None] = {"Money": "cheap", "Invoice": "of a price", "Cheap boat": "boat boat"}
BREADS: dict[str, str | None] = {"Bread": "flour", "Loaf": "a baguette"}


@dataclass
class Library:
    """Searchable books with an embedding model."""

    search: Searchable[Book]
    database: Database
    endpoint: EmbeddingEndpoint
    jobs: RecordedJobs
    settings: Settings
    embeddings: Embeddings = field(init=False)

    def restart(self, **changes: Any) -> None:
        """Simulate a restart of the site with a changed EMBEDDING_MODEL."""
        model = EmbeddingModel(**{"name": "small", "base_url": self.endpoint.address, **changes})
        self.embeddings = Embeddings(self.settings, model)
        connect_embeddings(self.database, self.embeddings)

    async def add(self, summaries: dict[str, str | None]) -> None:
        await add_rows(self.database, *(Book(title=title, summary=summary) for title, summary in summaries.items()))

    async def add_embedded(self, summaries: dict[str, str | None]) -> None:
        await self.add(summaries)
        await self.jobs.work()

    async def find_titles(self, query: str, **options: Any) -> list[str]:
        async with self.database.reader() as session:
            return [hit.row.title for hit in (await self.search.find(session, query, **options)).items]

    async def count_vectors(self) -> int:
        return int(await read_one(self.database, text("SELECT count(*) FROM vectors_of_order")))


@pytest.fixture
async def library(
    isolated_searchables: None, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Library]:
    await make_tables(database)
    with temporary_hooks():
        books = Searchable(Book, fields=["title", "summary"], url="/books/{id}", by_meaning=True)
        await create_indexes(database)
        async with serve_embeddings(monkeypatch) as endpoint:
            jobs = RecordedJobs(settings, database, open_storage(settings))
            library = Library(books, database, endpoint, jobs, settings)
            library.restart()
            yield library
            await library.embeddings.close()


async def test_rows_are_found_by_meaning_after_the_job(library: Library) -> None:
    await library.add(SUMMARIES)
    assert set(library.jobs.names) == {"jobs.embed_rows"}
    assert await library.find_titles("loaf") == []
    await library.jobs.work()
    assert "Baguette\nOf the bakery." in library.endpoint.texts
    assert await library.find_titles("a fresh loaf") == ["Baguette"]
    assert await library.find_titles("sailing") == ["Harbour"]
    assert await library.find_titles("zebra") == []
    for query in ('"loaf"', "loaf -zebra", "loaf or zebra"):
        assert await library.find_titles(query) == [], "operators search for words only"
    request_count = len(library.endpoint.bodies)
    assert await library.find_titles("a  fresh loaf") == ["Baguette"]
    assert len(library.endpoint.bodies) == request_count, "embeddings of queries are cached"


async def test_row_of_a_long_transaction_is_not_missed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    async with library.database.writer() as session:
        session.add(Book(title="Kitten"))
        await session.flush()
        monkeypatch.setattr(clock, "now", lambda: 1.0)  # it is committed at another time
    await library.add({"Harbour": None})
    assert len(library.jobs.keys) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_full_text_matches_rank_first(library: Library) -> None:
    await library.add_embedded(PRICES)
    assert await library.find_titles("invoice") == ["Invoice", "Money", "Cheap boat"]
    async with library.database.reader() as session:
        page = await library.search.find(session, "invoice", limit=1, page=2)
    (hit,) = page.items
    assert (page.total, page.pages, hit.url, hit.name_html) == (3, 3, f"/books/{hit.row.id}", "Money")


@pytest.mark.database("sqlite", "postgresql")
async def test_only_rows_of_within_are_compared(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.search.vectors.MAX_NEAREST", 1)
    await library.add({"Mine": "a baguette of money"})
    await library.add_embedded({f"Another's {number}": "loaf" for number in range(3)})
    assert await library.find_titles("bread", within=select(Book).where(col(Book.title) == "Mine")) == ["Mine"]
    assert await library.find_titles("bread", within=select(Book).where(col(Book.id) < 0)) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_vector_is_deleted_with_its_row(library: Library) -> None:
    await library.add_embedded(SUMMARIES)
    await execute(library.database, delete(Book).where(col(Book.title) == "Kitten"))
    await execute(library.database, update(Book).where(col(Book.title) == "Baguette").values(pages=3))
    assert await library.count_vectors() == len(SUMMARIES) - 1


@pytest.mark.database("sqlite", "postgresql")
async def test_changed_text_is_embedded_again(library: Library) -> None:
    await library.add_embedded(SUMMARIES)
    baguette = update(Book).where(col(Book.title) == "Baguette")
    await execute(library.database, baguette.values(title="Feline", summary=""))
    assert await library.find_titles("loaf") == []
    text_count = len(library.endpoint.texts)
    await library.jobs.run(embed_all())
    assert library.endpoint.texts[text_count:] == ["Feline"], "unchanged rows are not embedded again"
    assert set(await library.find_titles("purr")) == {"Feline", "Kitten"}


@pytest.mark.database("sqlite", "postgresql")
async def test_vectors_are_deleted_when_the_table_is_emptied(library: Library) -> None:
    await library.add_embedded(SUMMARIES)
    empty = "DELETE FROM" if library.database.url.kind == "sqlite" else "TRUNCATE"
    await execute(library.database, text(f'{empty} "order"'))  # as `flush` does, after which ids restart
    assert await library.count_vectors() == 0


async def test_outdated_vector_is_not_stored(library: Library) -> None:
    await library.add({"Bread": "flour"})
    embed_texts = library.embeddings.embed_texts

    async def change_row_and_embed(texts: list[str]) -> Any:
        await execute(library.database, update(Book).values(title="Cat", summary=""))
        return await embed_texts(texts)

    library.embeddings.embed_texts = change_row_and_embed  # type: ignore[assignment, method-assign]
    await library.jobs.work()
    assert library.endpoint.texts == ["Bread\nflour"]
    assert await library.count_vectors() == 0


@pytest.mark.parametrize("changes", [{"name": "other", "dimensions": 8}])
async def test_new_model_is_used_when_complete(library: Library, changes: dict[str, Any]) -> None:
    await library.add_embedded(SUMMARIES)
    library.restart(**changes)
    library.endpoint.bodies.clear()
    assert await library.find_titles("loaf") == ["Baguette"], "the old vectors are still used"
    assert [body["model"] for body in library.endpoint.bodies][-1] == "small"
    await library.jobs.run(embed_rows("order"))
    library.endpoint.bodies.clear()
    assert await library.find_titles("a loaf") == ["Baguette"]
    (body,) = library.endpoint.bodies
    assert (body["model"], body.get("dimensions")) == (changes.get("name", "small"), changes.get("dimensions"))
    assert await library.count_vectors() == len(SUMMARIES)


async def test_failed_embedding_falls_back_to_words(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    await library.add_embedded(BREADS)
    library.endpoint.responses = [response("503 Service Unavailable")]
    assert await library.find_titles("bread") == ["Bread"]
    assert await library.find_titles("flour") == ["Bread"]
    assert sum("search uses words only" in record.message for record in caplog.records) == 1


async def test_late_embedding_falls_back_to_words(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    await library.add_embedded(BREADS)
    monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.OUTAGE_SECONDS", 0)
    monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.QUERY_TIMEOUT_SECONDS", 0.01)
    library.endpoint.may_respond.clear()
    assert await library.find_titles("bread") == ["Bread"]
    library.endpoint.may_respond.set()
    monkeypatch.setattr("opportune.contrib.llm_embeddings.queries.QUERY_TIMEOUT_SECONDS", 10)
    assert await library.find_titles("bread") == ["Bread", "Loaf"]


async def test_failed_job_resumes_later(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.llm_embeddings.jobs.BATCH_TEXTS", 2)
    await library.add(SUMMARIES)
    (call, *_) = library.jobs.calls
    items = b'{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [0, 1]}'
    two_embeddings = response("200 OK", b'{"data": [' + items + b"]}")
    library.endpoint.responses = [two_embeddings, response("429 Too Many Requests")]
    with pytest.raises(Exception, match="no more questions for now"):
        await library.jobs.run(call)
    assert await library.count_vectors() == 2
    await library.jobs.run(call)
    assert await library.count_vectors() == len(SUMMARIES)


@pytest.mark.database("sqlite", "postgresql")
async def test_missing_trigger_is_restored(library: Library) -> None:
    await library.add_embedded(SUMMARIES)
    on_table = "" if library.database.url.kind == "sqlite" else ' ON "order"'
    async with library.database.engine.begin() as connection:
        await connection.execute(text(f"DROP TRIGGER vectors_of_order_delete{on_table}"))
        assert await connection.run_sync(due_statements) != []
    await create_indexes(library.database)
    await execute(library.database, delete(Book).where(col(Book.title) == "Kitten"))
    assert await library.count_vectors() == len(SUMMARIES) - 1


async def test_words_are_searched_without_a_model(library: Library) -> None:
    library.database.info.pop("embed_later")
    library.database.reading_info.clear()
    await library.add(SUMMARIES)
    assert library.jobs.calls == []
    assert await library.find_titles("kitten") == ["Kitten"]


async def test_rejected_text_does_not_block_others(library: Library) -> None:
    await library.add(SUMMARIES)
    library.endpoint.refused_word = "Feline"
    await library.jobs.work()
    assert (await library.find_titles("loaf"), await library.find_titles("purr")) == (["Baguette"], [])


async def test_job_fails_if_every_text_is_rejected(library: Library) -> None:
    library.endpoint.refused_word = "text"  # contained in the text that the job sends to check the model
    await library.add({"Money": "Cheap text"})
    with pytest.raises(LlmError, match="did not accept"):
        await library.jobs.work()
