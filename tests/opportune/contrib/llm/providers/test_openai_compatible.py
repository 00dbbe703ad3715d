"""Requests to an OpenAI-compatible endpoint, and the streamed answer."""

import asyncio
import gzip
import json
from contextlib import aclosing
from typing import Any

import pytest

from opportune.contrib.llm import Done, LanguageModel, Message, Picture, ToolSchema
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE as UNSEEN
from tests.opportune.contrib.llm.providers import model_answers
from tests.opportune.contrib.llm.providers.endpoint import Step, json_response, response
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, EVENTS_TO_BE_CUT, STOP, event, text
from tests.opportune.contrib.llm.providers.habits import ARGS, FIND, FINDS

PICTURE_URLS = ["data:image/jpeg;base64,ZHJhd24=", "data:image/png;base64,cG5n"]
SEEN = [{"type": "image_url", "image_url": {"url": url}} for url in PICTURE_URLS]
FIND_TOOL = ToolSchema("find", "Find rows.", {"type": "object", "properties": {}})
TWO_MEMBERS = gzip.compress(b'{"choices": [{"message": '), gzip.compress(b'{"content": "Yes"}}]}')


async def test_request_has_model_limit_and_key() -> None:
    async with model_answers.serve_provider(EVENTS, text("Because."), DONE) as (provider, endpoint):
        await model_answers.read_answer(provider)
    assert endpoint.headers[0].startswith(b"POST /v1/chat/completions ")
    assert f"Authorization: Bearer {model_answers.KEY}".encode() in endpoint.headers[0]
    question = {"model": "a-model", "messages": [{"role": "user", "content": "Why?"}]}
    options = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": 99}
    assert endpoint.bodies[0] == question | options


async def test_cut_after_finish_reason_loses_only_usage() -> None:
    may_continue = asyncio.Event()
    async with (
        model_answers.serve_provider(EVENTS_TO_BE_CUT, text("Because."), event(STOP), may_continue) as (provider, _),
        aclosing(provider.stream(model_answers.QUESTION)) as chunks,
    ):
        assert await anext(chunks) == "Because."
        may_continue.set()
        assert await anext(chunks) == Done()


async def test_closing_the_stream_disconnects() -> None:
    async with model_answers.serve_provider(EVENTS, text("Beca"), "hang") as (provider, endpoint):
        async with aclosing(provider.stream(model_answers.QUESTION)) as chunks:
            assert await anext(chunks) == "Beca"
        await endpoint.disconnected.wait()


@pytest.mark.parametrize("steps", [[EVENTS, text("Beca"), "hang"], ["hang"]], ids=["answering", "before the answer"])
async def test_cancelling_the_reader_disconnects(steps: list[Step]) -> None:
    async with model_answers.serve_provider(*steps) as (provider, endpoint):
        task = asyncio.create_task(model_answers.read_answer(provider))
        await endpoint.requested.wait()
        task.cancel()
        await endpoint.disconnected.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("sees_images", "content"),
    [(True, [{"type": "text", "text": "What is it?"}, *SEEN]), (False, f"What is it?\n\n{UNSEEN}\n\n{UNSEEN}")],
)
async def test_pictures_need_vision(sees_images: bool, content: Any) -> None:
    question = Message("user", "What is it?", pictures=(Picture(b"drawn"), Picture(b"png", "image/png")))
    async with model_answers.serve_provider(EVENTS, text("A cat."), DONE) as (provider, endpoint):
        provider.sees_images = sees_images
        assert await LanguageModel(lambda: provider).complete([question], system="Look.", temperature=0.5) == "A cat."
    body = endpoint.bodies[0]
    assert [message["content"] for message in body["messages"]] == ["Look.", content]
    assert body["temperature"] == 0.5


@pytest.mark.parametrize("written", [f"<function=find{ARGS}</function>", '{"name": "find", "arguments": {"q": 1}}'])
@pytest.mark.parametrize("status", ["400 Bad Request", "200 OK"])
async def test_call_that_groq_could_not_read_is_read(written: str, status: str) -> None:
    failure = {"error": {"code": "tool_use_failed", "failed_generation": written}}
    async with model_answers.serve_provider(json_response(failure, status)) as (provider, _):
        _, done = await model_answers.read_answer(provider, [FIND_TOOL])
    assert isinstance(done, Done)
    assert [(call.name, call.arguments) for call in done.tool_calls] == [*FINDS]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(text("Yes") + DONE), "x-gzip"),
        (gzip.compress(text("Yes")) + gzip.compress(DONE) + b"\0", "gzip"),
        (gzip.compress(text("Yes") + DONE), "identity"),
    ],
)
async def test_odd_gzip_is_read(body: bytes, encoding: str) -> None:
    answer, _ = await model_answers.read_answer_of(response("200 OK", body, f"Content-Encoding: {encoding}"))
    assert answer == "Yes"


@pytest.mark.parametrize("encoding", ["GBK", "undefined", "unknown"])
async def test_utf_8_is_read_in_spite_of_its_declared_encoding(encoding: str) -> None:
    body = b"data: nonsense {\n\n" + text("café") + DONE
    content_type = f"Content-Type: text/event-stream; charset={encoding}"
    answer, _ = await model_answers.read_answer_of(response("200 OK", body, content_type))
    assert answer == "café"


async def test_gzip_may_be_cut_anywhere() -> None:
    content = b"\0".join((*TWO_MEMBERS, b"padding"))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    body = (b"1\r\n%c\r\n" % byte for byte in content)
    async with model_answers.serve_provider(head, *body, b"0\r\n\r\n") as (provider, _):
        answer = await model_answers.read_answer(provider)
    assert answer == ("Yes", Done())


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (event({"error": {"message": "Rate limit reached", "code": 429}}), "rate_limited"),
        (event({"error": {"message": "Overloaded", "failed_generation": "safety"}}), "unavailable"),
        (b"", "interrupted"),
    ],
)
async def test_failure_after_a_written_call_is_raised(end: bytes, code: str) -> None:
    written = text(f"<tool_call>{json.dumps(FIND)}</tool_call>")
    async with model_answers.serve_provider(EVENTS_TO_BE_CUT, written, end) as (provider, _):
        error = await model_answers.read_error(provider, [FIND_TOOL])
    assert error.code == code
