"""Reasoning of models: stored separately, streamed, collapsed and counted."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.llm import Done, FakeProvider, Reasoning
from tests.opportune.contrib.answers import questions

HOSTILE = "<script>alert(1)</script> **no**"


@pytest.mark.database("sqlite", "postgresql")
async def test_reasoning_is_stored_apart(manager: AnswerManager, model: FakeProvider, owner_id: int) -> None:
    model.script = [Reasoning("Let me "), Reasoning("think."), "Because.", Done(10, 90, reasoning_tokens=80)]
    stored = await questions.ask_and_wait(manager, owner_id)
    assert (stored.text, stored.reasoning, stored.reasoning_tokens) == ("Because.", "Let me think.", 80)


async def test_reasoning_survives_a_dead_process(manager: AnswerManager, model: FakeProvider, owner_id: int) -> None:
    model.script = [Reasoning("Let me think."), asyncio.Event()]
    answer = await questions.ask(manager, owner_id)
    await questions.wait_for_progress(manager, answer, lambda progress: progress.reasoning == "Let me think.")
    await questions.kill_process(manager, answer)
    model.script = [Reasoning("Again."), "Because."]
    await questions.load_answer(manager, answer)
    interrupted = await manager.find(answer.id, owner_id)
    assert interrupted
    stored = await questions.wait_until_ended(manager, interrupted)
    assert (stored.text, stored.reasoning) == ("Because.", "Let me think.\n\nAgain.")


async def test_reasoning_is_escaped(app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider) -> None:
    fake_llm.script = [Reasoning(HOSTILE), "Because."]
    answer = await questions.ask(app.state.answers, user.id)
    stream = (await user_client.get(f"/answers/{answer.id}/stream")).text
    page = (await user_client.get(f"/answers/{answer.id}")).text
    read = (await user_client.get(f"/api/v1/answers/{answer.id}")).json()
    for html in (stream, page):
        assert "&lt;script&gt;alert(1)&lt;/script&gt; **no**" in html
        assert "<script>alert" not in html
    assert f'<details class="answer-reasoning text-secondary small mb-1" id="answer-{answer.id}-thoughts">' in page
    assert (read["text"], read["reasoning"]) == ("Because.", HOSTILE)
