"""Answers as streams of chunks: the first of several attempts, and its text."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing

from opportune.contrib.llm.providers.provider import Chunks, LlmError


async def first_answer(
    attempts: Iterable[Callable[[], Chunks]],
    tries_next: Callable[[int, LlmError], Awaitable[bool]],
) -> Chunks:
    """Yield the answer of the first attempt that starts one.

    Args:
        attempts: Functions that start an attempt.
        tries_next: Called with the number and the error of an attempt that failed before its first chunk. Returns True
            when the next attempt may start.

    Raises:
        LlmError: The error of the last attempt, or of one that had started its answer.
    """
    failure: LlmError | None = None
    for number, attempt in enumerate(attempts):
        has_started = False
        try:
            async with aclosing(attempt()) as chunks:
                async for chunk in chunks:
                    has_started = True
                    yield chunk
            return
        except LlmError as error:
            if has_started or not await tries_next(number, error):
                raise
            failure = error
    if failure:
        raise failure


async def text_of(chunks: Chunks) -> AsyncGenerator[str, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if isinstance(chunk, str):
                yield chunk
