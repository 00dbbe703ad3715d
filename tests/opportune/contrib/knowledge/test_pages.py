"""Pages of collections and documents."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.knowledge.models import DocumentState
from opportune.contrib.teams.models import TeamRole
from opportune.contrib.teams.testing import make_team
from opportune.db import Database
from opportune.testing import RecordedJobs, add_permission, make_user, signed_in_client
from tests.opportune.contrib.extraction.files import make_docx, make_pdf
from tests.opportune.contrib.knowledge.collections import (
    add_file,
    make_collection,
    make_document,
    read_documents,
    read_passages,
)


async def test_files_are_added_and_read(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    files = [("files", ("guide.pdf", make_pdf("One", "Two"))), ("files", ("loans.docx", make_docx()))]
    response = await user_client.post(f"/knowledge/{collection.id}/documents", files=files)
    assert (response.status_code, response.headers["location"]) == (303, f"/knowledge/{collection.id}")
    page = await user_client.get(f"/knowledge/{collection.id}")
    assert page.text.count("Waiting") == 2
    assert 'hx-trigger="load delay:2s"' in page.text
    await recorded_jobs.work()
    page = await user_client.get(f"/knowledge/{collection.id}")
    assert page.text.count("Ready") == 2
    assert "hx-trigger" not in page.text.partition('id="documents"')[2]
    documents = await read_documents(database)
    assert [(document.pages_read, document.page_count) for document in documents] == [(2, 2), (2, 0)]


async def test_form_needs_a_file_or_an_address(user_client: AsyncClient, user: User, database: Database) -> None:
    collection = await make_collection(database, owner_id=user.id)
    path = f"/knowledge/{collection.id}/documents"
    response = await user_client.post(path, data={"url": ""})
    assert (response.status_code, "Please choose files" in response.text) == (422, True)
    response = await user_client.post(path, data={"url": "file:///etc/passwd"})
    assert (response.status_code, await read_documents(database)) == (422, [])


@pytest.mark.parametrize("page", ["0", "00", "-1", "x", "", "9" * 30])
async def test_invalid_page_number_shows_the_first_page(
    user_client: AsyncClient, user: User, database: Database, page: str
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await make_document(database, collection.id, "One")
    response = await user_client.get(f"/knowledge/{collection.id}", params={"page": page})
    assert (response.status_code, "Guide" in response.text) == (200, True)


async def test_unreadable_file_shows_its_reason(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id, "scan.pdf", make_pdf("", ""))
    await recorded_jobs.work()
    page = await user_client.get(f"/knowledge/{collection.id}")
    assert "scan.pdf contains no text; it may be a scan." in page.text
    (document,) = await read_documents(database)
    assert document.state == DocumentState.FAILED


async def test_document_is_read_again(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    (document,) = await read_documents(database)
    assert len(recorded_jobs.names) == 1
    await user_client.post(f"/knowledge/documents/{document.id}/read")
    assert len(recorded_jobs.names) == 1, "a waiting document is queued once"
    await recorded_jobs.work()
    before = [passage.text for passage in await read_passages(database)]
    await user_client.post(f"/knowledge/documents/{document.id}/read")
    await recorded_jobs.work()
    assert [passage.text for passage in await read_passages(database)] == before


async def test_deleted_document_loses_its_file(
    app: FastAPI, user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    (document,) = await read_documents(database)
    await user_client.post(f"/knowledge/documents/{document.id}/delete")
    assert "jobs.delete_files" in recorded_jobs.names
    await recorded_jobs.work()  # the job that reads it finds nothing
    assert await read_documents(database) == []


async def test_deleted_collection_loses_its_files(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    await user_client.post(f"/knowledge/{collection.id}/delete")
    assert (await read_documents(database), "jobs.delete_files" in recorded_jobs.names) == ([], True)


async def test_text_marks_the_passage(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    await recorded_jobs.work()
    passage = (await read_passages(database))[1]
    page = await user_client.get(passage.url)
    assert '<mark class="document-text" id="passage" tabindex="-1">Each day costs ten cents.</mark>' in page.text
    assert '<div class="document-text">A loan lasts four weeks.</div>' in page.text


async def test_search_page_links_to_passages(
    user_client: AsyncClient, user: User, database: Database, recorded_jobs: RecordedJobs
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    await recorded_jobs.work()
    page = await user_client.get("/knowledge/search?q=How long is a loan?")
    assert "guide.md · Loans" in page.text
    assert "<mark>loan</mark>" in page.text
    assert "Nothing matches" in (await user_client.get("/knowledge/search?q=zebra")).text


async def test_pages_of_other_users_are_not_found(
    client: AsyncClient, app: FastAPI, user_client: AsyncClient, user: User, database: Database
) -> None:
    collection = await make_collection(database, owner_id=user.id)
    await add_file(user_client, collection.id)
    (document,) = await read_documents(database)
    paths = [f"/knowledge/{collection.id}", f"/knowledge/documents/{document.id}"]
    actions = [f"/knowledge/{collection.id}/documents"]
    actions += [f"/knowledge/documents/{document.id}/{action}" for action in ("read", "delete")]
    async with signed_in_client(app) as stranger:
        for path in paths:
            assert (await stranger.get(path)).status_code == 404, path
            assert (await client.get(path)).headers["location"].startswith("/accounts/login"), path
        for path in actions:
            assert (await stranger.post(path, data={"url": "https://example.com"})).status_code == 404, path
            assert (await client.post(path)).headers["location"].startswith("/accounts/login"), path
    assert len(await read_documents(database)) == 1


async def test_members_share_the_collections_of_a_team(app: FastAPI, database: Database) -> None:
    owner, member = await make_user(database), await make_user(database)
    await make_team(database, owner, {TeamRole.MEMBER: member})
    async with signed_in_client(app, owner) as client:
        await client.post("/knowledge/new", data={"name": "Shared", "description": ""})
    async with signed_in_client(app, member) as client:
        page = await client.get("/knowledge")
        assert "Shared" in page.text
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
