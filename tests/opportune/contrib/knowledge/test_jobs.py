"""Job that reads documents."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.knowledge import jobs
from opportune.contrib.knowledge.web_page import WebPage
from opportune.db import Database
from opportune.storage import Storage, StorageError
from opportune.testing import RecordedJobs
from tests.opportune.contrib.extraction.files import make_pdf
from tests.opportune.contrib.knowledge.collections import add_file, make_collection, read_documents, read_passages


async def add_page(client: AsyncClient, database: Database, user: User, url: str) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await client.post(f"/knowledge/{collection.id}/documents", data={"url": url})


async def test_private_web_page_fails(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    await add_page(user_client, database, user, "http://127.0.0.1:1/secret")
    await recorded_jobs.work()
    (document,) = await read_documents(database)
    assert (document.state, document.fault) == (
        "failed",
        "http://127.0.0.1:1/secret leads into a private network, so it is not read. Upload the page as a file.",
    )


async def test_web_page_gets_its_title(
    user_client: AsyncClient,
    user: User,
    database: Database,
    recorded_jobs: RecordedJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fetch(*_arguments: Any) -> WebPage:
        return WebPage("guide.html", b"<title>Guide</title><p>A loan lasts four weeks.<script>steal()</script>")

    monkeypatch.setattr(jobs, "fetch_page", fetch)
    await add_page(user_client, database, user, "https://example.com/guide")
    await recorded_jobs.work()
    (document,), (passage,) = await read_documents(database), await read_passages(database)
    assert (document.title, passage.heading, passage.text) == ("Guide", "Guide", "A loan lasts four weeks.")


async def test_last_attempt_ends_the_document(
    app: FastAPI,
    user_client: AsyncClient,
    user: User,
    database: Database,
    recorded_jobs: RecordedJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)

    async def fail(_storage: Storage, _name: str) -> bytes:
        raise StorageError

    monkeypatch.setattr(type(app.state.storage), "read", fail)
    monkeypatch.setattr(jobs, "MAX_ATTEMPTS", 1)
    with pytest.raises(StorageError):
        await recorded_jobs.work()
    (document,) = await read_documents(database)
    assert document.fault == "guide.md could not be read at the moment. Try again later."


async def test_pages_above_the_limit_are_named(
    user_client: AsyncClient,
    user: User,
    database: Database,
    recorded_jobs: RecordedJobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "LIMITS", jobs.LIMITS._replace(max_pages=2))
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id, "long.pdf", make_pdf("One", "Two", "Three"))
    await recorded_jobs.work()
    page = await user_client.get(f"/knowledge/{collection.id}")
    assert "Only the first 2 of 3 pages were read." in page.text
