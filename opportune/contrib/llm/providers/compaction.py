"""Shortening of conversations that an endpoint refuses as too long."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

from opportune.contrib.llm.completion.first_answer import first_answer
from opportune.contrib.llm.providers.provider import CONTINUE, Chunk, LlmError, Message, estimate_prompt_tokens

SHORTENED = "\n[The rest was left out, because it is too long.]"
MIN_RESULT_LENGTH = 500


def compacted_answer(
    ask: Callable[[Sequence[Message]], AsyncGenerator[Chunk, None]], messages: Sequence[Message]
) -> AsyncGenerator[Chunk, None]:
    """Return an answer. If the endpoint refuses the conversation as too long, ask once more with a shorter one."""
    conversations = [messages]  # a shorter one follows if the first is refused

    async def becomes_shorter(_number: int, error: LlmError) -> bool:
        shorter = compact(messages) if error.code == "context_too_long" else None
        if shorter is None or len(conversations) > 1:
            return False
        conversations.append(shorter)
        return True

    return first_answer((partial(ask, turns) for turns in conversations), becomes_shorter)


def compact(messages: Sequence[Message]) -> list[Message] | None:
    """Leave out the oldest turns until half remains, then the ends of tool results. None if there are none.

    System messages and the last question remain. An answer and its question, or a call and its result, stay together.
    """
    budget = estimate_prompt_tokens(messages, ()) // 2
    system = [*takewhile(lambda turn: turn.role == "system", messages)]
    turns = [*messages[len(system) :]]
    questions = [index for index, turn in enumerate(turns) if turn.role == "user" and turn.content != CONTINUE]
    for start in questions[1:]:
        if estimate_prompt_tokens([*system, *turns], ()) <= budget:
            break
        turns = [*messages[len(system) + start :]]
    shorter = [*system, *turns]
    results = [turn for turn in turns if turn.role == "tool"]
    if results and estimate_prompt_tokens(shorter, ()) > budget:
        length = max(MIN_RESULT_LENGTH, sum(len(turn.content) for turn in results) // len(results) // 2)
        shorter = [_shorten(turn, length) if turn.role == "tool" else turn for turn in shorter]
    return shorter if shorter != [*messages] else None


def _shorten(turn: Message, length: int) -> Message:
    return replace(turn, content=turn.content[:length] + SHORTENED) if len(turn.content) > length else turn
