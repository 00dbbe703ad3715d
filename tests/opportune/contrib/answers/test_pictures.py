"""Pictures that a model makes while it answers."""

import re

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from opportune.accounts import User
from opportune.contrib.answers.engine.pictures import NAME, adopt_pictures
from opportune.contrib.answers.lifespan import offer_pictures
from opportune.contrib.answers.models import AnswerAttachment
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import Done, FakeMedia, FakeProvider, LlmError
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.testing import picture, signed_in_client
from tests.opportune.contrib.answers.questions import ask_and_wait

REQUEST = Done(tool_calls=(ToolCall("c1", NAME, '{"description": "A <red> fox"}'),))


@pytest.fixture
def media(app: FastAPI, fake_llm: FakeProvider) -> FakeMedia:
    """Model for pictures. The other model requests one."""
    app.state.llm.media.provider = media = FakeMedia(picture=picture())
    offer_pictures(app)
    fake_llm.script, fake_llm.next_scripts = [REQUEST], [["Here it is. ![x](https://other.example/a.png)"]]
    return media


async def test_picture_is_shown_with_the_answer(app: FastAPI, user: User, media: FakeMedia) -> None:
    answer = await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    assert media.received == ["A <red> fox"]
    path = f"/answers/attachments/{answer.tool_runs[0]['picture']['id']}"
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
        images = re.findall(r"<img[^>]*answer-picture[^>]*>", (await client.get(f"/answers/{answer.id}")).text)
        assert (len(images), 'alt="A &lt;red&gt; fox"' in images[0], path in images[0]) == (1, True, True)
        shown = await client.get(path, follow_redirects=True)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        assert (await other_client.get(path)).status_code == 404
    await app.state.llm.guard.flusher.flush()
    async with app.state.database.reader(fresh=True) as session:
        calls = select(func.sum(LlmUsage.calls)).where(col(LlmUsage.owner_id) == user.id)
        assert await session.scalar(calls) == 3, "two requests and a picture"


async def test_pictures_of_the_owner_get_the_topic(app: FastAPI, user: User, media: FakeMedia) -> None:
    answer = await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    async with app.state.database.writer() as session:
        row = (await session.scalars(select(AnswerAttachment))).one()
        assert (row.owner_id, row.topic) == (user.id, "books:1")
        row.owner_id, row.topic = None, ""
        await session.flush()
        await adopt_pictures(session, answer.id, answer.tool_runs)
        await session.refresh(row)
        assert row.topic == ""


async def test_model_is_told_of_a_failed_picture(
    app: FastAPI, user: User, media: FakeMedia, fake_llm: FakeProvider
) -> None:
    media.error = LlmError("filtered", "The model refused this picture.")
    answer = await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    assert (answer.tool_runs[0]["is_error"], "picture" in answer.tool_runs[0]) == (True, False)
    assert "refused this picture" in fake_llm.received[-1][-1].content


async def test_no_tool_without_a_model_for_pictures(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    offer_pictures(app)
    await ask_and_wait(app.state.answers, user.id, "Draw", "books:1", tools=True)
    assert NAME not in {name for names in fake_llm.offered for name in names}
