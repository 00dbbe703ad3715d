"""The scripted provider for tests."""

import asyncio
from contextlib import aclosing

import pytest

from opportune.contrib.llm import Chunk, Done, LlmError, Message
from opportune.contrib.llm.providers.fake import FakeProvider

QUESTION = [Message("user", "Why?")]


async def read_chunks(model: FakeProvider) -> list[Chunk]:
    async with aclosing(model.stream(QUESTION)) as chunks:
        return [chunk async for chunk in chunks]


async def test_script_is_repeated_and_questions_recorded() -> None:
    model = FakeProvider("Be", "cause.")
    assert await read_chunks(model) == ["Be", "cause.", Done()]
    assert await read_chunks(model) == ["Be", "cause.", Done()]
    assert model.received == [QUESTION, QUESTION]
    assert not model.stopped.is_set()


async def test_done_ends_the_script() -> None:
    outcome = Done(7, 3, truncated=True)
    assert await read_chunks(FakeProvider("Because", outcome, "never")) == ["Because", outcome]


async def test_event_pauses_the_answer() -> None:
    gate = asyncio.Event()
    async with aclosing(FakeProvider("Be", gate, "cause.").stream(QUESTION)) as chunks:
        assert await anext(chunks) == "Be"
        next_chunk = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        assert not next_chunk.done()
        gate.set()
        assert await next_chunk == "cause."


async def test_script_raises_errors() -> None:
    model = FakeProvider("Be", LlmError("timeout", "Too slow."))
    async with aclosing(model.stream(QUESTION)) as chunks:
        assert await anext(chunks) == "Be"
        with pytest.raises(LlmError, match=r"Too slow\."):
            await anext(chunks)


async def test_closed_answer_sets_stopped() -> None:
    model = FakeProvider("Be", "cause.")
    async with aclosing(model.stream(QUESTION)) as chunks:
        await anext(chunks)
    assert model.stopped.is_set()
