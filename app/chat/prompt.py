"""The prompt: what the model is sent of a conversation."""

from collections.abc import Sequence

from app.chat.models import Message, Role
from opportune import llm

SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question, in Markdown, and keep it short."


def build_prompt(messages: Sequence[Message], question: Message, budget: int) -> list[llm.Message]:
    """Build a prompt: the system's words, as much of what was said before as fits `budget` tokens, then `question`.

    The newest turns win; the system's words and the question are always in, whatever they weigh.
    """
    turns: list[llm.Message] = [llm.Message("user", question.text)]
    left = budget - llm.estimate_tokens(SYSTEM_PROMPT) - llm.estimate_tokens(question.text)
    for message in reversed([earlier for earlier in messages if earlier.id < question.id and earlier.text]):
        left -= llm.estimate_tokens(message.text)
        if left < 0:
            break
        turns.insert(0, llm.Message("user" if message.role == Role.USER else "assistant", message.text))
    if turns[0].role == "assistant":  # its question did not fit
        turns.pop(0)
    return [llm.Message("system", SYSTEM_PROMPT), *turns]
