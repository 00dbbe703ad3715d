"""Documents beside a conversation, with versions by the user and the model."""

import asyncio
import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select, update

from app.chat import service
from app.chat.documents import DocumentChanged, Documents, code_blocks, write_document
from app.chat.models import Conversation, Document, DocumentVersion, Message
from app.chat.schemas import DocumentForm
from opportune.accounts import User
from opportune.accounts.deletion.service import read_personal_data
from opportune.admin.trash.retention import empty_trash
from opportune.contrib.answers import Answer, AnswerManager, AnswerRunning, QuestionTooLong
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.db import utc_now
from opportune.testing import make_user, signed_in_client
from tests.chat.conversations import start_conversation, wait_until_ended

CODE = "Here it is:\n\n```python\nprint(1)\n```\n\nAnd:\n\n~~~\nplain\n~~~"


async def make_document(manager: AnswerManager, owner_id: int, text: str = "# Plan\n\nFirst.") -> int:
    _, answer = await start_conversation(manager, owner_id)
    await wait_until_ended(manager, answer)
    async with manager.database.writer() as session:
        return (await Documents(session, owner_id).create(answer, text)).id


async def write(
    manager: AnswerManager, owner_id: int, id_: int, text: str, version: int, instruction: str = ""
) -> None:
    form = DocumentForm(text=text, version=version, instruction=instruction, is_question=bool(instruction))
    await write_document(manager, owner_id, id_, form)


async def read(manager: AnswerManager, owner_id: int, id_: int) -> tuple[int, list[str]]:
    """Return the number of the current version, and the texts from the first version on."""
    async with manager.database.reader(fresh=True) as session:
        documents = Documents(session, owner_id)
        document = await documents.get(id_)
        assert document
        return document.version, [version.text for version in reversed(await documents.versions(document))]


async def wait_for_model(manager: AnswerManager, id_: int) -> None:
    """Wait until the model has written the newest version."""
    async with manager.database.reader(fresh=True) as session:
        newest = select(func.max(DocumentVersion.answer_id)).where(DocumentVersion.document_id == id_)  # type: ignore[arg-type]
        answer = await session.get_one(Answer, await session.scalar(newest))
    await wait_until_ended(manager, Message(answer=answer, conversation_id=1, role="assistant"))  # type: ignore[arg-type]


def test_code_blocks_keep_their_fences() -> None:
    assert code_blocks(CODE) == ["```python\nprint(1)\n```", "~~~\nplain\n~~~"]


@pytest.mark.database("postgresql")
async def test_each_changed_text_is_a_version(manager: AnswerManager, owner_id: int) -> None:
    id_ = await make_document(manager, owner_id)
    await write(manager, owner_id, id_, "# Plan\r\n\r\nFirst.\r\n", 1)
    assert await read(manager, owner_id, id_) == (1, ["# Plan\n\nFirst."]), "the text has not changed"
    await write(manager, owner_id, id_, "Second.", 1)
    assert await read(manager, owner_id, id_) == (2, ["# Plan\n\nFirst.", "Second."])


async def test_outdated_text_is_refused(manager: AnswerManager, owner_id: int) -> None:
    id_ = await make_document(manager, owner_id)
    await write(manager, owner_id, id_, "Mine.", 1)
    with pytest.raises(DocumentChanged):
        await write(manager, owner_id, id_, "Other.", 1)
    assert (await read(manager, owner_id, id_))[0] == 2


@pytest.mark.database("postgresql")
async def test_model_writes_the_next_version(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    id_ = await make_document(manager, owner_id)
    model.script = ["```markdown\n# Shorter\n```"]
    await write(manager, owner_id, id_, "Edited.", 1, "Make it shorter")
    await wait_for_model(manager, id_)
    assert await read(manager, owner_id, id_) == (3, ["# Plan\n\nFirst.", "Edited.", "# Shorter"])
    assert "Edited." in model.received[-1][-1].content


async def test_model_does_not_overwrite_the_user(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    id_ = await make_document(manager, owner_id)
    end = asyncio.Event()
    model.script = ["From the model.", end]
    await write(manager, owner_id, id_, "# Plan\n\nFirst.", 1, "Change it")
    await write(manager, owner_id, id_, "From the user.", 1)
    with pytest.raises(AnswerRunning):
        await write(manager, owner_id, id_, "From the user.", 3, "Change it")
    end.set()
    await wait_for_model(manager, id_)
    assert await read(manager, owner_id, id_) == (3, ["# Plan\n\nFirst.", "From the model.", "From the user."])


async def test_incomplete_text_is_not_current(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    id_ = await make_document(manager, owner_id)
    model.script = ["Only a", LlmError("timeout", "Too slow.")]
    await write(manager, owner_id, id_, "# Plan\n\nFirst.", 1, "Change it")
    await wait_for_model(manager, id_)
    assert await read(manager, owner_id, id_) == (1, ["# Plan\n\nFirst.", "Only a"])


async def test_text_beyond_the_model_is_refused(manager: AnswerManager, owner_id: int) -> None:
    id_ = await make_document(manager, owner_id)
    with pytest.raises(QuestionTooLong):
        await write(manager, owner_id, id_, "word " * 5_000, 1, "Change it")
    assert (await read(manager, owner_id, id_))[0] == 1, "nothing was stored"


async def test_deletion_removes_documents_and_answers(manager: AnswerManager, owner_id: int) -> None:
    id_ = await make_document(manager, owner_id)
    await write(manager, owner_id, id_, "# Plan\n\nFirst.", 1, "Change it")
    await wait_for_model(manager, id_)
    async with manager.database.writer() as session:
        document = await session.get_one(Document, id_)
        conversation = await session.get_one(Conversation, document.conversation_id)
    await service.delete(manager, conversation)
    async with manager.database.writer() as session:
        assert await Documents(session, owner_id).get(id_) is None, "it is in the trash"
        await session.execute(update(Conversation).values(deleted_at=utc_now() - timedelta(days=8)))
    await empty_trash(manager.database, [Conversation])
    async with manager.database.reader(fresh=True) as session:
        counts = [await session.scalar(select(func.count()).select_from(model)) for model in (Document, Answer)]
    assert counts == [0, 0]


async def test_personal_data_contains_documents(app: FastAPI, manager: AnswerManager, user: User) -> None:
    await make_document(manager, user.id)
    async with app.state.database.reader(fresh=True) as session:
        exported = (await read_personal_data(session, app.state.features, user))["chat"]["documents"]
    assert [(version["title"], version["text"]) for version in exported] == [("Plan", "# Plan\n\nFirst.")]


async def open_document(client: AsyncClient, block: int = 0) -> str:
    """Ask a question and open its answer. Return the path of the page."""
    page = (await client.post("/chat", data={"content": "Why?"})).headers["location"]
    await client.get(f"{page}/stream")
    action = re.search(r"/chat/messages/\d+/document", (await client.get(page)).text)
    assert action
    return str((await client.post(action[0], data={"block": str(block)})).headers["location"])


async def test_document_without_javascript(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    fake_llm.script = [CODE]
    async with signed_in_client(app, user) as client:
        page = await open_document(client, 1)
        html = (await client.get(page)).text
        path = re.search(r'action="(/chat/documents/\d+)"', html)
        assert path
        assert "print(1)" in html
        saved = await client.post(path[1], data={"text": "Mine <b>.", "version": "1"})
        assert saved.headers["location"] == page
        assert "Mine &lt;b&gt;." in (await client.get(page)).text
        refused = await client.post(path[1], data={"text": "Too late.", "version": "1"})
        assert (refused.status_code, "Too late." in refused.text) == (409, True)
        assert 'name="version" value="2"' in refused.text
        assert "print(1)" in (await client.get(page.replace("#", "&version=1#"))).text
        export = await client.get(f"{path[1]}/export")
        assert (export.text, export.headers["content-type"]) == ("Mine <b>.\n", "text/markdown; charset=utf-8")


async def test_documents_of_others_are_not_found(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["Secret."]
    other_user = await make_user(app.state.database)
    async with signed_in_client(app, user) as client, signed_in_client(app, other_user) as other_client:
        page = await open_document(client)
        id_ = page.partition("document=")[2].partition("#")[0]
        assert (await other_client.get(f"/chat/documents/{id_}/export")).status_code == 404
        assert (
            await other_client.post(f"/chat/documents/{id_}", data={"text": "x", "version": "1"})
        ).status_code == 404
        other_page = (await other_client.post("/chat", data={"content": "Why?"})).headers["location"]
        assert 'id="document"' not in (await other_client.get(f"{other_page}?document={id_}")).text


async def test_running_answer_is_not_opened(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    end = asyncio.Event()
    fake_llm.script = ["So far", end]
    async with signed_in_client(app, user) as client:
        page = (await client.post("/chat", data={"content": "Why?"})).headers["location"]
        stop = re.search(r"/chat/messages/(\d+)/stop", (await client.get(page)).text)
        assert stop
        opened = await client.post(f"/chat/messages/{stop[1]}/document")
        assert opened.headers["location"] == page
        end.set()
