import asyncio
from contextlib import aclosing

import pytest

from opportune.llm import Chunk, Done, LLMError, Message
from opportune.llm.providers.fake import FakeProvider

QUESTION = [Message("user", "Why?")]


async def read(model: FakeProvider) -> list[Chunk]:
    async with aclosing(model.stream(QUESTION)) as chunks:
        return [chunk async for chunk in chunks]


async def test_a_script_is_played_for_every_question_and_the_questions_are_kept() -> None:
    model = FakeProvider("Be", "cause.")
    assert await read(model) == ["Be", "cause.", Done()]
    assert await read(model) == ["Be", "cause.", Done()]
    assert model.received == [QUESTION, QUESTION]
    assert not model.stopped.is_set()


async def test_a_finish_ends_the_script() -> None:
    end = Done(7, 3, truncated=True)
    assert await read(FakeProvider("Because", end, "never")) == ["Because", end]


async def test_an_event_holds_the_answer_back() -> None:
    gate = asyncio.Event()
    async with aclosing(FakeProvider("Be", gate, "cause.").stream(QUESTION)) as chunks:
        assert await anext(chunks) == "Be"
        rest = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        assert not rest.done()
        gate.set()
        assert await rest == "cause."


async def test_an_error_is_raised_where_the_script_has_it() -> None:
    model = FakeProvider("Be", LLMError("timeout", "Too slow."))
    async with aclosing(model.stream(QUESTION)) as chunks:
        assert await anext(chunks) == "Be"
        with pytest.raises(LLMError, match=r"Too slow\."):
            await anext(chunks)


async def test_an_answer_that_is_closed_early_is_told() -> None:
    model = FakeProvider("Be", "cause.")
    async with aclosing(model.stream(QUESTION)) as chunks:
        await anext(chunks)
    assert model.stopped.is_set()
