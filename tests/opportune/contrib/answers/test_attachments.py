"""Pictures and documents in the prompt of an answer."""

from collections.abc import AsyncIterator

import pytest

from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.llm import Attachment, AttachmentRefused, FakeProvider, LanguageModel, Message, Picture
from opportune.contrib.llm.documents.attachment import DATA_RULE
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE
from opportune.db import Database
from opportune.storage import Storage, open_storage
from tests.opportune.contrib.answers.questions import ask, ask_and_wait, retry, wait_until_ended


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


@pytest.fixture
async def manager(database: Database, model: FakeProvider, storage: Storage) -> AsyncIterator[AnswerManager]:
    model.sees_images = True
    manager = AnswerManager(database, LanguageModel(lambda: model), storage=storage)
    yield manager
    await manager.close()


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


async def test_files_are_attached_as_far_as_they_fit(
    manager: AnswerManager, owner_id: int, model: FakeProvider
) -> None:
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
