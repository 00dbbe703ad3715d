"""Build the prompt of a question from its conversation."""

from collections.abc import Mapping, Sequence

from app.chat.models import Message, Role
from opportune.contrib import llm
from opportune.contrib.answers import AnswerAttachment, answer_turns
from opportune.i18n import gettext_lazy as _l
from opportune.i18n import ngettext

SYSTEM_PROMPT = "You are a helpful assistant. Answer in the language of the question, in Markdown, and keep it short."

MAX_FOLLOW_UPS = 3
"""Questions suggested after the newest answer. Each answer needs another call of the model then. 0: none."""
FOLLOW_UP_PROMPT = (
    f"Suggest {MAX_FOLLOW_UPS} short questions that the user may ask next about this question and its answer. "
    "Write them from the user's point of view, in the language of the question."
)

EXAMPLE_QUESTIONS = (
    _l("What is the capital of France?"),
    _l("Write two sentences about the sea."),
    _l("What is photosynthesis? Answer in one sentence."),
)
"""Questions offered in an empty chat. The bundled small model can answer them; test others before you add them."""


def build_prompt(
    messages: Sequence[Message],
    question: Message,
    budget: int,
    *,
    system: str = "",
    files: Mapping[int, AnswerAttachment] | None = None,
    origin: str = "",
) -> tuple[list[llm.Message], str]:
    """Return the prompt and a notice for the user about omitted parts.

    The prompt has the system prompt, the newest earlier messages that fit into `budget` tokens, and the question. The
    system prompt and the question are always included. Earlier answers of the endpoint and model `origin` have their
    tool calls, if it needs them back and they fit.
    """
    system_turn = llm.Message("system", system or SYSTEM_PROMPT)
    question_turn, omitted = _to_turn(question, files or {}, budget - llm.estimate_tokens(system_turn))
    turns = [question_turn]
    remaining = budget - llm.estimate_tokens(system_turn) - llm.estimate_tokens(question_turn)
    earlier = [message for message in messages if message.id < question.id and message.text]
    missing = len(earlier)
    for message in reversed(earlier):
        turn, notice = _to_turn(message, files or {}, remaining)
        reply = answer_turns(message.answer, origin) if message.answer else []
        added = reply if 0 < sum(map(llm.estimate_tokens, reply)) <= remaining // 2 else [turn]
        remaining -= sum(map(llm.estimate_tokens, added))
        if remaining < 0:
            break
        omitted = f"{omitted} {notice}".strip()
        turns[:0] = added
        missing -= 1
    while turns[0].role != "user":  # the question did not fit
        dropped = turns.pop(0)
        missing += dropped.role == "assistant" and not dropped.tool_calls
    if missing:
        left_out = ngettext(
            "%(num)s earlier message was left out, because this model cannot read more.",
            "%(num)s earlier messages were left out, because this model cannot read more.",
            missing,
        )
        omitted = f"{left_out} {omitted}".strip()
    return [system_turn, *turns], omitted


def find_first_read(prompt: Sequence[llm.Message], earlier: Sequence[Message], question: Message) -> int | None:
    """Return the id of the first question in a prompt, or None if the prompt has all earlier questions."""
    questions = [message.id for message in [*earlier, question] if message.role == Role.USER]
    count = sum(turn.role == "user" for turn in prompt)
    return questions[-count] if count < len(questions) else None


def _to_turn(message: Message, files: Mapping[int, AnswerAttachment], budget: int) -> tuple[llm.Message, str]:
    turn = llm.Message("user" if message.role == Role.USER else "assistant", message.text)
    attachments = [files[id_].shown for id_ in message.attachment_ids if id_ in files]
    return llm.attach(turn, attachments, budget - llm.estimate_tokens(turn)) if attachments else (turn, "")
