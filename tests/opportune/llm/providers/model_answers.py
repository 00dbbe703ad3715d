"""Helpers that send one question to an endpoint and read the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from pydantic import SecretStr

from opportune.llm import Done, LLMError, Message, Timeouts
from opportune.llm.providers.openai_compatible import OpenAICompatible
from tests.opportune.llm.providers.endpoint import FakeEndpoint, Step, serve_endpoint

KEY = "sk-not-for-anyone"
QUESTION = [Message("user", "Why?")]
HOUR_SECONDS = 3600
LONG_TIMEOUTS = Timeouts(connect=5, first=HOUR_SECONDS, idle=HOUR_SECONDS, whole=HOUR_SECONDS)


def provider_at(address: str, limits: Timeouts = LONG_TIMEOUTS, key: str = KEY) -> OpenAICompatible:
    return OpenAICompatible(address, SecretStr(key), "a-model", limits, max_tokens=99)


@asynccontextmanager
async def provider_of(
    *steps: Step, limits: Timeouts = LONG_TIMEOUTS, refused_parameter: str = ""
) -> AsyncIterator[tuple[OpenAICompatible, FakeEndpoint]]:
    async with serve_endpoint(*steps, refused_parameter=refused_parameter) as endpoint:
        provider = provider_at(endpoint.address, limits)
        try:
            yield provider, endpoint
        finally:
            await provider.close()


async def read_answer(provider: OpenAICompatible) -> tuple[str, Done | LLMError]:
    """Return the text of an answer and its `Done`."""
    words = ""
    try:
        async with asyncio.timeout(60), aclosing(provider.stream(QUESTION)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    return words, chunk
                if isinstance(chunk, str):
                    words += chunk
    except LLMError as error:
        return words, error
    raise AssertionError("the stream ended without a Done")


async def answer_of(*steps: Step, limits: Timeouts = LONG_TIMEOUTS) -> tuple[str, Done | LLMError]:
    async with provider_of(*steps, limits=limits) as (provider, _):
        return await read_answer(provider)


async def error_of(*steps: Step, limits: Timeouts = LONG_TIMEOUTS) -> LLMError:
    _, end = await answer_of(*steps, limits=limits)
    assert isinstance(end, LLMError)
    return end
