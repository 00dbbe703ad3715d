"""Attachments of users: in the prompt of an answer, stored, exported and deleted."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import col

from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.contrib.answers import AnswerAttachment, AnswerManager
from opportune.contrib.answers.engine import attachments
from opportune.contrib.answers.engine.attachments import delete_attachments, find_attachments, stored_attachments
from opportune.contrib.answers.personal import list_files, read
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import Attachment, AttachmentRefused, FakeProvider, LanguageModel, Message, Picture
from opportune.contrib.llm.attachments import DATA_RULE
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE
from opportune.db import Database
from opportune.feature import Person
from opportune.storage import MissingFileError, Storage, open_storage
from opportune.testing import RecordedJobs, signed_in_client
from tests.opportune.contrib.answers.questions import ask, ask_and_wait, retry, wait_until_ended
from tests.opportune.storage.pictures import draw_image, encode_image
from tests.opportune.stored_rows import delete_row, read_all
from tests.opportune.waiting import wait_until


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
async def manager(database: Database, model: FakeProvider, storage: Storage) -> AsyncIterator[AnswerManager]:
    model.sees_images = True
    manager = create_manager(database, LanguageModel(lambda: model), storage=storage)
    yield manager
    await manager.engine.close()


async def test_picture_is_loaded_for_each_question(
    manager: AnswerManager, owner_id: int, model: FakeProvider, storage: Storage
) -> None:
    name = await storage.save("shown", "jpg", b"\xffdrawn", "image/jpeg")
    prompt = Message("user", "What is it?", pictures=(Picture(stored_as=name), Picture(b"\xff\0", "image/png")))
    model.script = [llm.LlmError("timeout", "Too slow.")]
    failed = await ask_and_wait(manager, owner_id, [prompt], temperature=0.2, omitted="Half was left out.")
    retried = await wait_until_ended(manager, await retry(manager, failed))
    await storage.delete(name)
    await wait_until_ended(manager, await retry(manager, retried))
    sent = [turns[-1] for turns in model.received]
    both_pictures = (Picture(b"\xffdrawn"), Picture(b"\xff\0", "image/png"))
    assert [turn.pictures for turn in sent] == [both_pictures, both_pictures, ()]
    assert sent[2].content == f"What is it?\n\n{UNSEEN_PICTURE}\n\n{UNSEEN_PICTURE}"
    assert (model.temperatures, retried.omitted) == ([0.2] * 3, "Half was left out.")


async def test_files_are_cut_to_the_context(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    attachments = [Attachment("cat.jpg", picture=Picture(b"cat")), Attachment("long.txt", "word " * 10_000)]
    model.context_budget = 4_000
    answer = await ask_and_wait(manager, owner_id, "What is it?", attachments=attachments)
    (sent,) = model.received[0]
    assert (sent.pictures, sent.content.startswith(DATA_RULE)) == ((Picture(b"cat"),), True)
    assert 3_990 < llm.estimate_tokens(sent) <= 4_000
    assert (answer.question, answer.omitted[:26]) == ("What is it?", "Only the first 18 % of lon")
    model.sees_images = False
    with pytest.raises(AttachmentRefused, match="Scripted cannot see pictures"):
        await ask(manager, owner_id, "What is it?", attachments=attachments)


@dataclass(frozen=True)
class UploadedFile:
    filename: str
    content: bytes


PICTURE = UploadedFile("cat.png", encode_image(draw_image(), "PNG"))
PAGE = UploadedFile("page.html", b"<script>alert(1)</script>")


async def file_exists(storage: Storage, name: str) -> bool:
    try:
        return bool(await storage.read(name))
    except MissingFileError:
        return False


async def store_attachments(app: FastAPI, owner_id: int, *sent: UploadedFile) -> list[AnswerAttachment]:
    async with stored_attachments(app.state.storage, owner_id, sent) as rows, app.state.database.writer() as session:
        for row in rows:
            row.topic = "books:1"
            session.add(row)
    return rows


async def test_file_has_an_owner(app: FastAPI, client: AsyncClient, user: User, recorded_jobs: RecordedJobs) -> None:
    storage, database = app.state.storage, app.state.database
    cat, page = await store_attachments(app, user.id, PICTURE, PAGE)
    assert (cat.shown.picture, cat.text) == (Picture(b"", "image/jpeg", cat.stored_as), "")
    assert page.shown == Attachment("page.html", PAGE.content.decode())
    assert (await client.get(f"/answers/attachments/{cat.id}")).status_code == 303
    async with signed_in_client(app, user) as owner, signed_in_client(app) as other:
        picture = await owner.get(f"/answers/attachments/{cat.id}", follow_redirects=True)
        assert (picture.headers["content-type"], picture.headers["content-disposition"]) == ("image/jpeg", "inline")
        download = await owner.get(f"/answers/attachments/{page.id}", follow_redirects=True)
        assert download.headers["content-type"] == "application/octet-stream"
        assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
        assert (await other.get(f"/answers/attachments/{cat.id}")).status_code == 404
    async with database.reader() as session:
        assert await find_attachments(session, user.id + 1, [cat.id]) == {}
        found = await find_attachments(session, user.id, [cat.id, page.id], with_text=True)
        assert {row.filename: row.text for row in found.values()} == {"cat.png": "", "page.html": page.text}
        person = Person(user.id, "")
        assert sorted(await list_files(session, person)) == sorted([cat.stored_as, page.stored_as])
        files = (await read(session, person))["attachments"]
        assert [(row["filename"], row["topic"]) for row in files] == [("cat.png", "books:1"), ("page.html", "books:1")]
    async with database.writer() as session:
        await delete_attachments(session, col(AnswerAttachment.topic) == "books:1")
    assert await read_all(database, AnswerAttachment) == []
    await recorded_jobs.work()
    assert not await file_exists(storage, page.stored_as)


async def test_files_of_deleted_users_are_deleted(app: FastAPI, user: User, recorded_jobs: RecordedJobs) -> None:
    storage = app.state.storage
    # An API client may send any file name.
    (cat,) = await store_attachments(app, user.id, UploadedFile("folder/\u202ecat.png", PICTURE.content))
    assert cat.filename == "cat.png"
    async with stored_attachments(storage, user.id, [PAGE]) as rows:
        assert await file_exists(storage, rows[0].stored_as)
    assert not await file_exists(storage, rows[0].stored_as)
    for refused, message in (([PAGE, UploadedFile("x", b"\0")], "cannot be read"), ([PAGE] * 9, "at most 8 files")):
        with pytest.raises(AttachmentRefused, match=message):
            await store_attachments(app, user.id, *refused)
    folder = storage.folder / "attachments"
    assert [file.name for file in folder.iterdir()] == [cat.stored_as.rpartition("/")[2]]
    await delete_row(app.state.database, user)
    await recorded_jobs.work()
    assert not await file_exists(storage, cat.stored_as)


async def test_documents_of_a_user_are_read_one_by_one(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    started, gate = list[str](), asyncio.Event()

    async def read_slowly(filename: str, _content: bytes) -> Attachment:
        started.append(filename)
        await gate.wait()
        return Attachment(filename, "Text")

    async def send(owner_id: int, name: str) -> None:
        async with stored_attachments(app.state.storage, owner_id, [UploadedFile(name, b"%PDF-")]):
            pass

    monkeypatch.setattr(attachments, "read_attachment", read_slowly)
    sending = [asyncio.create_task(send(*arguments)) for arguments in ((1, "a"), (1, "b"), (2, "c"), (1, "d"))]
    await wait_until(lambda: len(started) == 2)
    for _ in range(10):
        await asyncio.sleep(0)
    assert started == ["a", "c"]
    gate.set()
    await asyncio.gather(*sending)
    assert sorted(started) == ["a", "b", "c", "d"]
