"""Helpers that send one question to an endpoint and read the answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from pydantic import SecretStr

from opportune.contrib.llm import Done, LlmError, LlmModel, Message, Provider, Reasoning, Timeouts, ToolSchema
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, Step, serve_endpoint

KEY = "sk-not-for-anyone"
QUESTION = [Message("user", "Why?")]
HOUR_SECONDS = 3600
LONG_TIMEOUTS = Timeouts(connect=5, first=HOUR_SECONDS, idle=HOUR_SECONDS, whole=HOUR_SECONDS)


def provider_at(
    address: str, limits: Timeouts = LONG_TIMEOUTS, key: str = KEY, model: str = "a-model"
) -> OpenAICompatible:
    at_address = {"base_url": address, "api_key": SecretStr(key)}  # unchecked, because some tests have a malformed one
    return OpenAICompatible(LlmModel(name=model, max_answer_tokens=99).model_copy(update=at_address), limits)


@asynccontextmanager
async def serve_provider(
    *steps: Step, limits: Timeouts = LONG_TIMEOUTS
) -> AsyncIterator[tuple[OpenAICompatible, FakeEndpoint]]:
    async with serve_endpoint(*steps) as endpoint:
        provider = provider_at(endpoint.address, limits)
        try:
            yield provider, endpoint
        finally:
            await provider.close()


async def read_chunks(
    provider: Provider,
    tools: Sequence[ToolSchema] = (),
    messages: Sequence[Message] = QUESTION,
    temperature: float | None = None,
) -> tuple[str, str, Done | LlmError]:
    reasoning = text = ""
    try:
        stream = provider.stream_with_tools(messages, tools, temperature=temperature)
        async with asyncio.timeout(60), aclosing(stream) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    return reasoning, text, chunk
                if isinstance(chunk, Reasoning):
                    reasoning += chunk.text
                else:
                    text += chunk
    except LlmError as error:
        return reasoning, text, error
    raise AssertionError("the stream ended without a Done")


async def read_answer(provider: Provider, *arguments: Any, **options: Any) -> tuple[str, Done | LlmError]:
    """Read the chunks without the reasoning."""
    return (await read_chunks(provider, *arguments, **options))[1:]


async def read_answer_of(*steps: Step) -> tuple[str, Done | LlmError]:
    async with serve_provider(*steps) as (provider, _):
        return await read_answer(provider)


async def read_error(provider: Provider, tools: Sequence[ToolSchema] = ()) -> LlmError:
    _, error = await read_answer(provider, tools)
    await provider.close()
    assert isinstance(error, LlmError)
    return error


async def read_error_of(*steps: Step) -> LlmError:
    async with serve_provider(*steps) as (provider, _):
        return await read_error(provider)
