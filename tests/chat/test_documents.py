"""Documents beside a conversation, with versions by the user and the model."""

import asyncio
import re
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from playwright.async_api import Page, expect
from sqlalchemy import func, select, update
from sqlmodel import col

from app.chat import service
from app.chat.documents import DocumentChanged, Documents, code_blocks, write_document
from app.chat.models import Conversation, Document
from app.chat.schemas import DocumentForm
from opportune.accounts import User
from opportune.accounts.flows.deletion import read_personal_data
from opportune.admin.trash.retention import empty_trash
from opportune.contrib.answers import Answer, AnswerManager, AnswerRunning, QuestionTooLong
from opportune.contrib.llm import FakeProvider, LlmError
from opportune.db import utc_now
from opportune.errors import NotFound
from opportune.testing import make_user, sign_in_browser, signed_in_client
from tests.chat import conversations

CODE = "Here it is:\n\n```python\nprint(1)\n```\n\nAnd:\n\n~~~\nplain\n~~~"
FIRST = "# Plan\n\nFirst."
PANEL, TEXT = "#document", "#document textarea[name=text]"


class Draft:
    """A document of the user."""

    def __init__(self, manager: AnswerManager, owner_id: int, id_: int, conversation: int) -> None:
        self.manager, self.owner_id, self.id, self.conversation = manager, owner_id, id_, conversation

    async def write(self, text: str, version: int, instruction: str = "") -> None:
        form = DocumentForm(text=text, version=version, instruction=instruction, is_question=bool(instruction))
        await write_document(self.manager, self.owner_id, self.id, form)

    async def read(self) -> tuple[int, list[str]]:
        """Return the number of the current version, and the texts from the first version on."""
        async with self.manager.database.reader(fresh=True) as session:
            documents = Documents(session, self.owner_id)
            document = await documents.get(self.id)
            assert document
            return document.version, [version.text for version in reversed(await documents.versions(document))]

    async def wait(self) -> None:
        async with self.manager.database.reader(fresh=True) as session:
            answer = (await session.scalars(select(Answer).order_by(col(Answer.id).desc()).limit(1))).one()
        async with self.manager.view(answer) as live, asyncio.timeout(conversations.TIMEOUT_SECONDS):
            async for _ in live.follow(0):
                pass


@pytest.fixture
async def draft(manager: AnswerManager, owner_id: int) -> Draft:
    conversation, answer = await conversations.start_conversation(manager, owner_id)
    await conversations.wait_until_ended(manager, answer)
    async with manager.database.writer() as session:
        document = await Documents(session, owner_id).create(answer, FIRST)
    return Draft(manager, owner_id, document.id, conversation)


def test_code_blocks_keep_their_fences() -> None:
    assert code_blocks(CODE) == ["```python\nprint(1)\n```", "~~~\nplain\n~~~"]
    assert code_blocks("````md\n```py\n1\n```\n````") == ["````md\n```py\n1\n```\n````"]
    assert code_blocks("````md\n1\n```") == []


async def test_each_changed_text_is_a_version(draft: Draft) -> None:
    await draft.write("# Plan\r\n\r\nFirst.\r\n", 1)
    assert await draft.read() == (1, [FIRST]), "the text has not changed"
    with pytest.raises(NotFound):
        await write_document(draft.manager, draft.owner_id, draft.id + 1, DocumentForm(text="Deleted."))
    await draft.write("Second.", 1)
    assert await draft.read() == (2, [FIRST, "Second."])
    with pytest.raises(DocumentChanged):
        await draft.write("From an outdated page.", 1)
    assert await draft.read() == (2, [FIRST, "Second."])


@pytest.mark.database("postgresql")
async def test_model_writes_the_next_version(draft: Draft, model: FakeProvider) -> None:
    model.script = ["```markdown\n# Shorter\n```"]
    await draft.write("Edited.", 1, "Make it shorter")
    await draft.wait()
    assert await draft.read() == (3, [FIRST, "Edited.", "# Shorter"])
    assert "Edited." in model.received[-1][-1].content


async def test_model_does_not_overwrite_the_user(draft: Draft, model: FakeProvider) -> None:
    end = asyncio.Event()
    model.script = ["From the model.", end]
    await draft.write(FIRST, 1, "Change it")
    await draft.write("From the user.", 1)
    with pytest.raises(AnswerRunning):
        await draft.write("From the user.", 3, "Change it")
    end.set()
    await draft.wait()
    assert await draft.read() == (3, [FIRST, "From the model.", "From the user."])


async def test_incomplete_text_is_not_current(draft: Draft, model: FakeProvider) -> None:
    model.script = ["Only a", LlmError("timeout", "Too slow.")]
    await draft.write(FIRST, 1, "Change it")
    await draft.wait()
    assert await draft.read() == (1, [FIRST, "Only a"])


async def test_text_beyond_the_model_is_refused(draft: Draft) -> None:
    with pytest.raises(QuestionTooLong):
        await draft.write("word " * 5_000, 1, "Change it")
    assert await draft.read() == (1, [FIRST]), "nothing was stored"


async def test_deletion_removes_documents_and_answers(draft: Draft) -> None:
    await draft.write(FIRST, 1, "Change it")
    await draft.wait()
    async with draft.manager.database.reader() as session:
        conversation = await session.get_one(Conversation, draft.conversation)
    await service.delete(draft.manager, conversation)
    async with draft.manager.database.writer() as session:
        assert await Documents(session, draft.owner_id).get(draft.id) is None, "it is in the trash"
        await session.execute(update(Conversation).values(deleted_at=utc_now() - timedelta(days=8)))
    await empty_trash(draft.manager.database, [Conversation])
    async with draft.manager.database.reader(fresh=True) as session:
        counts = [await session.scalar(select(func.count()).select_from(model)) for model in (Document, Answer)]
    assert counts == [0, 0]


async def test_personal_data_contains_documents(app: FastAPI, draft: Draft, user: User) -> None:
    async with app.state.database.reader(fresh=True) as session:
        exported = (await read_personal_data(session, app.state.features, user))["chat"]["documents"]
    assert [(version["title"], version["text"]) for version in exported] == [("Plan", FIRST)]


async def open_document(client: AsyncClient, block: int = 0) -> tuple[str, str]:
    """Ask a question and open its answer. Return the paths of the page and of the form."""
    page = (await client.post("/chat", data={"content": "Why?"})).headers["location"]
    await client.get(f"{page}/stream")
    action = re.search(r"/chat/messages/\d+/document", (await client.get(page)).text)
    assert action
    page = (await client.post(action[0], data={"block": str(block)})).headers["location"]
    form = re.search(r'action="(/chat/documents/\d+)"', (await client.get(page)).text)
    assert form
    return page, form[1]


async def test_document_without_javascript(user_client: AsyncClient, fake_llm: FakeProvider) -> None:
    fake_llm.script = [CODE]
    page, form = await open_document(user_client, 1)
    saved = await user_client.post(form, data={"text": "Mine <b>.", "version": "1"})
    assert saved.headers["location"] == page
    assert "Mine &lt;b&gt;." in (await user_client.get(page)).text
    refused = await user_client.post(form, data={"text": "Too late.", "version": "1"})
    assert (refused.status_code, "Too late." in refused.text) == (409, True)
    assert 'name="version" value="2"' in refused.text
    assert "print(1)" in (await user_client.get(page.replace("#", "&version=1#"))).text
    export = await user_client.get(f"{form}/export")
    assert (export.text, export.headers["content-type"]) == ("Mine <b>.\n", "text/markdown; charset=utf-8")


async def test_running_answer_is_not_opened(user_client: AsyncClient, fake_llm: FakeProvider) -> None:
    end = asyncio.Event()
    fake_llm.script = ["Half", end]
    page = (await user_client.post("/chat", data={"content": "Why?"})).headers["location"]
    stop = conversations.find_path((await user_client.get(page)).text, "/chat/messages/N/stop")
    refused = await user_client.post(stop.replace("stop", "document"), data={"block": "0"})
    assert refused.headers["location"] == page
    assert "alert-warning" in (await user_client.get(page)).text
    end.set()


async def test_document_of_others_is_not_shown(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    other_user = await make_user(app.state.database)
    async with signed_in_client(app, user) as client, signed_in_client(app, other_user) as other_client:
        page, _ = await open_document(client)
        other_page, _ = await open_document(other_client)
        shown = await other_client.get(other_page.partition("?")[0] + "?" + page.partition("?")[2])
        assert (shown.status_code, 'id="document"' in shown.text) == (200, False)


@pytest.fixture
async def script(app: FastAPI, page: Page, site: str, user: User, fake_llm: FakeProvider) -> FakeProvider:
    await sign_in_browser(page, app, user, site)
    await page.goto(f"/chat/{await conversations.make_conversation(app.state.database, user.id, 1)}")
    await page.locator("[action$='/document'] button").click()
    await expect(page.locator(TEXT)).to_have_value("Answer 0.")
    return fake_llm


async def test_texts_of_user_and_model_both_stay(page: Page, script: FakeProvider) -> None:
    end = asyncio.Event()
    script.script = ["From the model", end]
    await page.locator("#document [name=instruction]").fill("Improve it")
    await page.locator("#document [name=instruction]").press("Enter")
    await expect(page.locator(f"{PANEL} .answer")).to_contain_text("From the model")
    await page.locator(TEXT).fill("From the user")
    end.set()
    await expect(page.locator(f"{PANEL} .invalid-feedback")).to_be_visible()
    await expect(page.locator(TEXT)).to_have_value("From the user")
    await page.locator(f"{PANEL} .btn-primary").first.click()
    await expect(page.locator("#document-versions")).to_contain_text("3")
    await page.locator("#document-versions").click()
    await page.locator(f"{PANEL} .chat-versions a").nth(1).click()
    await expect(page.locator(TEXT)).to_have_value("From the model")


async def test_question_beside_a_document(page: Page, script: FakeProvider) -> None:
    await page.locator(TEXT).fill("Not saved yet")
    script.script = ["An answer."]
    await conversations.ask_in_browser(page, "And?")
    await expect(page.locator("article").last).to_contain_text("An answer.")
    await expect(page.locator(TEXT)).to_have_value("Not saved yet")
