"""Requests to an OpenAI-compatible endpoint, and the streamed answer."""

import asyncio
from contextlib import aclosing

import pytest
from pydantic import SecretStr

from opportune.contrib.llm import Done
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from tests.opportune.contrib.llm.providers.endpoint import (
    DONE,
    EVENTS,
    EVENTS_TO_BE_CUT,
    STOP,
    event,
    serve_endpoint,
    text,
)
from tests.opportune.contrib.llm.providers.model_answers import (
    KEY,
    LONG_TIMEOUTS,
    QUESTION,
    read_answer,
    read_answer_of,
    serve_provider,
)

USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}})


async def test_answer_is_chunks_then_usage() -> None:
    answer, outcome = await read_answer_of(EVENTS, text("Be"), text("cause."), event(STOP), USAGE, DONE)
    assert answer == "Because."
    assert outcome == Done(prompt_tokens=7, completion_tokens=3, truncated=False)


async def test_request_has_model_limit_and_key() -> None:
    async with serve_provider(EVENTS, text("Because."), DONE) as (provider, endpoint):
        await read_answer(provider)
    assert endpoint.headers[0].startswith(b"POST /v1/chat/completions ")
    assert f"Authorization: Bearer {KEY}".encode() in endpoint.headers[0]
    assert endpoint.bodies[0] == {
        "model": "a-model",
        "messages": [{"role": "user", "content": "Why?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 99,
    }


async def test_request_omits_missing_key_and_model() -> None:
    async with serve_endpoint(EVENTS, text("Because."), DONE) as endpoint:
        provider = OpenAICompatible(endpoint.address, SecretStr(""), "", LONG_TIMEOUTS)
        await read_answer(provider)
        await provider.close()
    assert b"authorization" not in endpoint.headers[0].lower()
    assert "model" not in endpoint.bodies[0]


async def test_chunks_are_streamed() -> None:
    may_continue = asyncio.Event()
    async with (
        serve_provider(EVENTS, text("One"), may_continue, text(" two"), DONE) as (provider, _),
        aclosing(provider.stream(QUESTION)) as chunks,
    ):
        assert await anext(chunks) == "One"
        may_continue.set()
        assert await anext(chunks) == " two"


async def test_cut_after_finish_reason_loses_only_usage() -> None:
    may_continue = asyncio.Event()
    async with (
        serve_provider(EVENTS_TO_BE_CUT, text("Because."), event(STOP), may_continue) as (provider, _),
        aclosing(provider.stream(QUESTION)) as chunks,
    ):
        assert await anext(chunks) == "Because."
        may_continue.set()
        assert await anext(chunks) == Done()


async def test_closing_the_stream_disconnects() -> None:
    async with serve_provider(EVENTS, text("Beca"), "hang") as (provider, endpoint):
        async with aclosing(provider.stream(QUESTION)) as chunks:
            assert await anext(chunks) == "Beca"
        await endpoint.disconnected.wait()


async def test_cancelling_the_reader_disconnects() -> None:
    async with serve_provider(EVENTS, text("Beca"), "hang") as (provider, endpoint):
        started = asyncio.Event()

        async def reader() -> None:
            async with aclosing(provider.stream(QUESTION)) as chunks:
                async for _ in chunks:
                    started.set()

        task = asyncio.create_task(reader())
        await started.wait()
        task.cancel()
        await endpoint.disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancel_before_the_first_chunk_disconnects() -> None:
    async with serve_provider("hang") as (provider, endpoint):
        task = asyncio.create_task(read_answer(provider))
        await endpoint.requested.wait()
        task.cancel()
        await endpoint.disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
