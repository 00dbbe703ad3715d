"""Puts one question to an endpoint and reads what comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from pydantic import SecretStr

from opportune.llm import Finish, Limits, LLMError, Message
from opportune.llm.openai_compatible import OpenAICompatible
from tests.opportune.llm.endpoint import Endpoint, Step, serving

KEY = "sk-not-for-anyone"
QUESTION = [Message("user", "Why?")]
FOREVER = 3600
PATIENT = Limits(connect=5, first=FOREVER, idle=FOREVER, whole=FOREVER)


def provider_at(address: str, limits: Limits = PATIENT, key: str = KEY) -> OpenAICompatible:
    return OpenAICompatible(address, SecretStr(key), "a-model", limits, max_tokens=99)


@asynccontextmanager
async def asking(*steps: Step, limits: Limits = PATIENT) -> AsyncIterator[tuple[OpenAICompatible, Endpoint]]:
    async with serving(*steps) as endpoint:
        provider = provider_at(endpoint.address, limits)
        try:
            yield provider, endpoint
        finally:
            await provider.close()


async def read(provider: OpenAICompatible) -> tuple[str, Finish | LLMError]:
    """The text of an answer, and how it ended."""
    words = ""
    try:
        async with asyncio.timeout(60), aclosing(provider.stream(QUESTION)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    return words, piece
                words += piece
    except LLMError as error:
        return words, error
    raise AssertionError("the stream ended without a Finish")


async def answer_of(*steps: Step, limits: Limits = PATIENT) -> tuple[str, Finish | LLMError]:
    async with asking(*steps, limits=limits) as (provider, _):
        return await read(provider)


async def failure_of(*steps: Step, limits: Limits = PATIENT) -> LLMError:
    _, end = await answer_of(*steps, limits=limits)
    assert isinstance(end, LLMError)
    return end
