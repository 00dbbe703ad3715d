"""Pages of collections and documents."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.knowledge.personal import list_files_of_user
from opportune.contrib.teams.models import TeamRole
from opportune.db import Database
from opportune.feature import Person
from opportune.jobs.models import Job, JobState
from opportune.testing import RecordedJobs, add_permission, make_team, make_user, signed_in_client
from tests.opportune.contrib.extraction.files import make_docx, make_pdf
from tests.opportune.contrib.knowledge.shelves import Shelf, add_file, make_collection, read_documents, read_passages
from tests.opportune.stored_rows import add_rows, delete_row


async def test_files_are_added_and_read(shelf: Shelf) -> None:
    files = [("files", ("guide.pdf", make_pdf("One", "Two"))), ("files", ("loans.docx", make_docx()))]
    response = await shelf.client.post(f"{shelf.path}/documents", files=files)
    assert (response.status_code, response.headers["location"]) == (303, shelf.path)
    html = await shelf.html()
    assert html.count("Waiting") == 2
    assert 'hx-trigger="load delay:2s"' in html
    await shelf.jobs.work()
    html = await shelf.html()
    assert html.count("Ready") == 2
    assert "hx-trigger" not in html.partition('id="documents"')[2]
    documents = await read_documents(shelf.database)
    assert [(document.pages_read, document.page_count) for document in documents] == [(2, 2), (2, 0)]


@pytest.mark.parametrize(("url", "text"), [("", "Please choose files"), ("file:///etc/passwd", "file:///etc/passwd")])
async def test_form_needs_a_file_or_an_address(shelf: Shelf, url: str, text: str) -> None:
    response = await shelf.client.post(f"{shelf.path}/documents", data={"url": url})
    assert (response.status_code, text in response.text) == (422, True)
    assert await read_documents(shelf.database) == []


async def test_document_is_read_again(shelf: Shelf) -> None:
    document = await shelf.add()
    assert len(shelf.jobs.names) == 1
    await shelf.client.post(f"/knowledge/documents/{document.id}/read")
    assert len(shelf.jobs.names) == 1, "a waiting document is queued once"
    await shelf.jobs.work()
    before = [passage.text for passage in await read_passages(shelf.database)]
    await shelf.client.post(f"/knowledge/documents/{document.id}/read")
    await shelf.jobs.work()
    assert [passage.text for passage in await read_passages(shelf.database)] == before


async def test_document_of_a_cancelled_job_is_read_again(shelf: Shelf) -> None:
    document = await shelf.add()
    cancelled = Job(name="knowledge.index_document", arguments=[document.id], state=JobState.CANCELLED)
    await add_rows(shelf.database, cancelled)
    assert "guide.md was not read to its end, because its job was cancelled." in await shelf.html()
    await shelf.client.post(f"/knowledge/documents/{document.id}/read")
    assert len(shelf.jobs.names) == 2


async def test_deleted_documents_lose_their_files(shelf: Shelf) -> None:
    document = await shelf.add()
    await shelf.client.post(f"/knowledge/documents/{document.id}/delete")
    assert "jobs.delete_files" in shelf.jobs.names
    await shelf.jobs.work()  # the job that reads it finds nothing
    assert await read_documents(shelf.database) == []
    assert (await shelf.add()).id > document.id, "an old citation must not lead to another document"
    await shelf.client.post(f"{shelf.path}/delete")
    assert (await read_documents(shelf.database), "jobs.delete_files" in shelf.jobs.names) == ([], True)


async def test_search_page_links_to_passages(shelf: Shelf) -> None:
    document = await shelf.add_and_read()
    page = await shelf.client.get(f"/knowledge/documents/{document.id}", params={"passage": "9" * 18})
    assert page.status_code == 422, "their number is limited"
    page = await shelf.client.get("/knowledge/search?q=How long is a loan?")
    assert "guide.md · Loans" in page.text
    assert "<mark>loan</mark>" in page.text
    assert "Nothing matches" in (await shelf.client.get("/knowledge/search?q=zebra")).text


async def test_pages_of_other_users_are_not_found(client: AsyncClient, app: FastAPI, shelf: Shelf) -> None:
    document = f"/knowledge/documents/{(await shelf.add()).id}"
    async with signed_in_client(app) as stranger:
        for path in (shelf.path, document):
            assert (await stranger.get(path)).status_code == 404, path
            assert (await client.get(path)).headers["location"].startswith("/accounts/login"), path
        for path in (f"{shelf.path}/documents", f"{document}/read", f"{document}/delete"):
            assert (await stranger.post(path, data={"url": "https://example.com"})).status_code == 404, path
            assert (await client.post(path)).headers["location"].startswith("/accounts/login"), path
    assert len(await read_documents(shelf.database)) == 1


async def test_members_share_the_collections_of_a_team(app: FastAPI, database: Database) -> None:
    owner, member = await make_user(database), await make_user(database)
    await make_team(database, owner, {TeamRole.MEMBER: member})
    async with signed_in_client(app, owner) as client:
        await client.post("/knowledge/new", data={"name": "Shared", "description": ""})
    async with signed_in_client(app, member) as client:
        assert "Shared" in (await client.get("/knowledge")).text
        await client.post("/teams/personal/switch")
        assert "Shared" in (await client.get("/knowledge")).text, "also while no team is selected"


@pytest.mark.parametrize("may_share", [True, False])
async def test_collection_of_the_site_needs_a_permission(app: FastAPI, database: Database, may_share: bool) -> None:
    editor = await make_user(database)
    if may_share:
        await add_permission(database, editor, "knowledge-collection", "share")
    async with signed_in_client(app, editor) as client, signed_in_client(app) as reader:
        assert ("For everyone" in (await client.get("/knowledge/new")).text) == may_share
        response = await client.post("/knowledge/new", data={"name": "Handbook", "is_site": "true"})
        path = response.headers["location"]
        assert (await reader.get(path)).status_code == (200 if may_share else 404)
        if may_share:
            assert (await reader.post(f"{path}/documents", data={"url": "https://example.com"})).status_code == 404
            assert (await client.post(f"{path}/documents", data={"url": "https://example.com"})).status_code == 303


async def test_export_contains_collections(user_client: AsyncClient, user: User, database: Database) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await make_collection(database, "Others", is_site=True)
    await add_file(user_client, collection.id)
    data = (await user_client.get("/api/v1/users/me/export")).json()["knowledge"]
    assert [row["name"] for row in data["collections"]] == ["Handbook"]
    assert [row["title"] for row in data["documents"]] == ["guide.md"]
    async with database.reader() as session:
        (document,) = await read_documents(database)
        assert list(await list_files_of_user(session, Person(user.id, user.email))) == [document.file]


@pytest.mark.parametrize("owner", ["user", "team"])
async def test_files_are_deleted_with_their_owner(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs, owner: str
) -> None:
    team = await make_team(database, user)
    fields: dict[str, Any] = {"owner_id": user.id} if owner == "user" else {"team_id": team.id}
    collection = await make_collection(database, **fields)
    await add_file(user_client, collection.id)
    await delete_row(database, user if owner == "user" else team)
    assert "jobs.delete_files" in recorded_jobs.names
    assert await read_documents(database) == []
