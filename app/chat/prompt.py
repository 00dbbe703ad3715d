"""The prompt: what the model is sent of a conversation."""

from collections.abc import Mapping, Sequence

from app.chat.models import Message, Role
from opportune import llm

SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question, in Markdown, and keep it short."

EXAMPLE_QUESTIONS = (
    "What is the capital of France?",
    "Write two sentences about the sea.",
    "What is photosynthesis? Answer in one sentence.",
)
"""Questions offered in an empty chat. The bundled small model answers these; ask it before you add others."""


def build_prompt(
    messages: Sequence[Message],
    question: Message,
    budget: int,
    *,
    system: str = "",
    files: Mapping[int, llm.AnswerAttachment] | None = None,
) -> tuple[list[llm.Message], str]:
    """Build a prompt: the system's words, as much of what was said before as fits `budget` tokens, then `question`.

    The newest turns win; the system's words and the question are always in, whatever they weigh. With it comes a line
    for the person about what did not fit.
    """
    rules = llm.Message("system", system or SYSTEM_PROMPT)
    asked, omitted = _turn(question, files or {}, budget - llm.estimate_tokens(rules))
    turns, left = [asked], budget - llm.estimate_tokens(rules) - llm.estimate_tokens(asked)
    earlier = [each for each in messages if each.id < question.id and each.text]
    for message in reversed(earlier):
        turn, unfit = _turn(message, files or {}, left)
        left -= llm.estimate_tokens(turn)
        if left < 0:
            break
        omitted = f"{omitted} {unfit}".strip()
        turns.insert(0, turn)
    if turns[0].role == "assistant":  # its question did not fit
        turns.pop(0)
    if missing := 1 + len(earlier) - len(turns):
        words = "1 earlier message was" if missing == 1 else f"{missing} earlier messages were"
        omitted = f"{words} left out: this model does not read so much at a time. {omitted}".strip()
    return [rules, *turns], omitted


def _turn(message: Message, files: Mapping[int, llm.AnswerAttachment], budget: int) -> tuple[llm.Message, str]:
    turn = llm.Message("user" if message.role == Role.USER else "assistant", message.text)
    shown = [files[each].shown for each in message.attachment_ids if each in files]
    return llm.attach(turn, shown, budget - llm.estimate_tokens(turn)) if shown else (turn, "")
