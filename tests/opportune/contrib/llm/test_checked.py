"""Implausible answers: token counts, blank texts, calls of tools that were not offered."""

import logging
from dataclasses import replace

import pytest

from opportune.config import LlmModel
from opportune.contrib.llm import Done, FakeProvider, LanguageModel, LlmError, Message, Reasoning, ToolCall, ToolSchema
from opportune.contrib.llm.providers.provider import Chunk

PLAUSIBLE = Done(9_000, 4_096, cached_tokens=8_000, reasoning_tokens=4_000)
CALL = ToolCall("c1", "delete_all", "{}")


async def read_chunks(*script: Chunk, tools: tuple[ToolSchema, ...] = ()) -> list[Chunk]:
    llm = LanguageModel(lambda: FakeProvider(*script))
    llm.model = LlmModel(name="Fast", base_url="http://127.0.0.1:1")
    return [chunk async for chunk in llm.chunks([Message("user", "Why?")], tools)]


@pytest.mark.parametrize("tokens", [10**15, -1])
async def test_implausible_tokens_are_ignored(tokens: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert (await read_chunks("So.", Done(tokens, tokens)))[-1] == Done(model="Fast")
    assert f"Fast reported {tokens} prompt tokens and {tokens} answer tokens" in caplog.text


@pytest.mark.parametrize(
    ("done", "counted"),
    [
        pytest.param(PLAUSIBLE, PLAUSIBLE, id="plausible"),
        pytest.param(Done(100, 50, cached_tokens=101, reasoning_tokens=51), Done(100, 50), id="parts above the total"),
    ],
)
async def test_plausible_tokens_are_believed(done: Done, counted: Done, caplog: pytest.LogCaptureFixture) -> None:
    *_, last = await read_chunks(Reasoning("Hm."), "So.", done)
    assert last == replace(counted, model="Fast")
    assert not caplog.text


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ([], "empty", "The model gave an empty answer"),
        ([Reasoning("Hm."), "\n"], "empty", "The model gave an empty answer"),
        (["I will.", Done(tool_calls=(CALL,))], "malformed", "does not exist"),
    ],
)
async def test_useless_answer_is_an_error(script: list[Chunk], code: str, message: str) -> None:
    with pytest.raises(LlmError, match=message) as caught:
        await read_chunks(*script)
    assert caught.value.code == code


async def test_names_and_ids_are_storable() -> None:
    done = Done(tool_calls=(ToolCall("c\0", "re\0ad\ud83d", "{}"),))
    *_, chunk = await read_chunks(done, tools=(ToolSchema("read", "Read.", {"type": "object"}),))
    assert isinstance(chunk, Done)
    assert chunk.tool_calls == (ToolCall("c", "read?", "{}"),)
