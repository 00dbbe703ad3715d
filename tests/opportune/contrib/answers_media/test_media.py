"""Recordings that become questions, answers read aloud, and pictures that a model makes while it answers."""

import asyncio
import re

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select

from opportune.accounts import User
from opportune.contrib.answers.engine.store import adopt_pictures
from opportune.contrib.answers.engine.tool_runs import PICTURE_TOOL
from opportune.contrib.answers.models import Answer, AnswerAttachment, AnswerStatus
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.answers_media.pictures import offer_pictures
from opportune.contrib.llm import Done, FakeMedia, FakeProvider, LlmError, ToolCall
from opportune.testing import picture, signed_in_client
from tests.opportune.contrib.answers.questions import ask_and_wait
from tests.opportune.stored_rows import add_rows, read_all, set_all

TRANSCRIPTIONS = "/answers/transcriptions"
JSON = {"Accept": "application/json"}
FAILURE = LlmError("timeout", "The model took too long.")
DRAW = Done(tool_calls=(ToolCall("c1", PICTURE_TOOL, '{"description": "A <red> fox"}'),))


@pytest.fixture
def media(app: FastAPI) -> FakeMedia:
    app.state.llm.media.provider = media = FakeMedia(speech=b"ID3 audio", transcript="Why is the sky blue?")
    return media


async def add_answer(app: FastAPI, user: User) -> str:
    text = "**Yes** & no.\n\n```\ncode\n```"
    answer = Answer(owner_id=user.id, topic="books:1", text=text, status=AnswerStatus.DONE)
    await add_rows(app.state.database, answer)
    return f"/answers/{answer.id}/speech"


async def count_calls(app: FastAPI, user: User) -> int:
    await app.state.llm.guard.flusher.flush()
    return sum(row.calls for row in await read_all(app.state.database, LlmUsage, owner_id=user.id))


async def test_recording_becomes_text(app: FastAPI, user_client: AsyncClient, user: User, media: FakeMedia) -> None:
    response = await user_client.post(TRANSCRIPTIONS, files={"recording": ("recording.webm", b"sound")})
    assert (response.json(), media.received) == ({"text": "Why is the sky blue?"}, [b"sound"])
    assert await count_calls(app, user) == 1, "it counts towards the limits of the user"


@pytest.mark.parametrize(("name", "error", "status"), [("recording.exe", None, 422), ("recording.webm", FAILURE, 503)])
async def test_refused_recording_says_why(
    user_client: AsyncClient, media: FakeMedia, name: str, error: LlmError, status: int
) -> None:
    media.error = error
    response = await user_client.post(TRANSCRIPTIONS, files={"recording": (name, b"sound")}, headers=JSON)
    assert (response.status_code, len(response.json()["detail"]) > 10) == (status, True)


async def test_audio_is_made_once(app: FastAPI, user_client: AsyncClient, user: User, media: FakeMedia) -> None:
    path = await add_answer(app, user)
    assert (await user_client.get(path)).status_code == 404
    for response in await asyncio.gather(user_client.post(path), user_client.post(path)):
        assert (response.status_code, response.headers["location"]) == (303, path)
    audio = await user_client.get(path, headers={"Range": "bytes=0-2"})
    assert media.received == ["Yes & no."], "without markup and code"
    assert (audio.status_code, audio.content, audio.headers["content-type"]) == (206, b"ID3", "audio/mpeg")
    assert audio.headers["cache-control"].startswith("private")


async def test_new_text_is_read_again(app: FastAPI, user_client: AsyncClient, user: User, media: FakeMedia) -> None:
    await user_client.post(path := await add_answer(app, user))
    texts = ("A sentence. " * 1_000, 303), ("文です。" * 1_500, 303), ("Is it? " * 999, 303)
    for text, status in (*texts, ("", 409), ("```\ncode\n```", 422)):
        await set_all(app.state.database, Answer, text=text)
        assert (await user_client.get(path)).status_code == 404
        assert (await user_client.post(path)).status_code == status
    spoken = [str(text) for text in media.received[1:]]
    assert [text[-3:] for text in spoken] == ["ce.", "です。", "it?"]
    assert all(4_000 < len(text) <= 4_096 for text in spoken)


async def test_failed_audio_is_not_kept(app: FastAPI, user_client: AsyncClient, user: User, media: FakeMedia) -> None:
    path, media.error = await add_answer(app, user), FAILURE
    assert (await user_client.post(path)).status_code == 503
    assert await read_all(app.state.database, AnswerAttachment) == []


@pytest.fixture
def drawing(app: FastAPI, fake_llm: FakeProvider) -> FakeMedia:
    """Model for pictures. The other model requests one."""
    app.state.llm.media.provider = drawing = FakeMedia(picture=picture())
    offer_pictures(app)
    fake_llm.script, fake_llm.next_scripts = [DRAW], [["Here it is. ![x](https://other.example/a.png)"]]
    return drawing


async def test_picture_is_shown_with_the_answer(app: FastAPI, user: User, drawing: FakeMedia) -> None:
    answer = await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    assert drawing.received == ["A <red> fox"]
    path = f"/answers/attachments/{answer.tool_runs[0]['picture']['id']}"
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
        images = re.findall(r"<img[^>]*answer-picture[^>]*>", (await client.get(f"/answers/{answer.id}")).text)
        assert (len(images), 'alt="A &lt;red&gt; fox"' in images[0], path in images[0]) == (1, True, True)
        shown = await client.get(path, follow_redirects=True)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        assert (await other_client.get(path)).status_code == 404
    assert await count_calls(app, user) == 3, "two requests and a picture"


async def test_pictures_of_the_owner_get_the_topic(app: FastAPI, user: User, drawing: FakeMedia) -> None:
    answer = await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(AnswerAttachment))).one()
        assert (row.owner_id, row.topic) == (user.id, "books:1")
        row.owner_id, row.topic = None, ""
        await session.flush()
        await adopt_pictures(session, answer.id, answer.tool_runs)
        await session.refresh(row)
        assert row.topic == ""
