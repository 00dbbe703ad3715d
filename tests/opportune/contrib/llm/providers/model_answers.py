"""Helpers that send one question to an endpoint and read the answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from pydantic import SecretStr

from opportune.contrib.llm import Done, LlmError, Message, Timeouts
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.contrib.llm.providers.provider import ToolSchema
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, Step, serve_endpoint

KEY = "sk-not-for-anyone"
QUESTION = [Message("user", "Why?")]
HOUR_SECONDS = 3600
LONG_TIMEOUTS = Timeouts(connect=5, first=HOUR_SECONDS, idle=HOUR_SECONDS, whole=HOUR_SECONDS)


def provider_at(
    address: str, limits: Timeouts = LONG_TIMEOUTS, key: str = KEY, model: str = "a-model"
) -> OpenAICompatible:
    return OpenAICompatible(address, SecretStr(key), model, limits, max_tokens=99)


@asynccontextmanager
async def serve_provider(
    *steps: Step, limits: Timeouts = LONG_TIMEOUTS, refused_parameter: str = ""
) -> AsyncIterator[tuple[OpenAICompatible, FakeEndpoint]]:
    async with serve_endpoint(*steps, refused_parameter=refused_parameter) as endpoint:
        provider = provider_at(endpoint.address, limits)
        try:
            yield provider, endpoint
        finally:
            await provider.close()


async def read_answer(
    provider: OpenAICompatible,
    tools: Sequence[ToolSchema] = (),
    messages: Sequence[Message] = QUESTION,
    temperature: float | None = None,
) -> tuple[str, Done | LlmError]:
    """Return the text of an answer and its `Done`."""
    answer, answering = "", provider.stream_with_tools(messages, tools, temperature=temperature)
    try:
        async with asyncio.timeout(60), aclosing(answering) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    return answer, chunk
                if isinstance(chunk, str):
                    answer += chunk
    except LlmError as error:
        return answer, error
    raise AssertionError("the stream ended without a Done")


async def read_answer_of(*steps: Step, limits: Timeouts = LONG_TIMEOUTS) -> tuple[str, Done | LlmError]:
    async with serve_provider(*steps, limits=limits) as (provider, _):
        return await read_answer(provider)


async def read_error_of(*steps: Step, limits: Timeouts = LONG_TIMEOUTS) -> LlmError:
    _, outcome = await read_answer_of(*steps, limits=limits)
    assert isinstance(outcome, LlmError)
    return outcome
