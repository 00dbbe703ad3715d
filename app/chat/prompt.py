"""Build the prompt of a question from its conversation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

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


class Turns(NamedTuple):
    """Turns of a whole prompt or of one of its messages."""

    turns: list[llm.Message]
    notice: str
    """Notice for the user about omitted parts; empty if there are none."""


def build_prompt(
    messages: Sequence[Message],
    question: Message,
    budget: int,
    *,
    system: str = "",
    files: Mapping[int, AnswerAttachment] | None = None,
    origin: str = "",
) -> Turns:
    """Return the prompt of a question.

    It has the system prompt, the newest earlier messages that fit into `budget` tokens, and the question. The
    system prompt and the question are always included. Earlier answers of the endpoint and model `origin` have their
    tool calls, if it needs them back and they fit.
    """
    files = files or {}
    system_turn = llm.Message("system", system or SYSTEM_PROMPT)
    remaining = budget - llm.estimate_tokens(system_turn)
    question_turn, notice = _to_turn(question, files, remaining)
    earlier = [message for message in messages if message.id < question.id and message.text]
    remaining -= llm.estimate_tokens(question_turn)
    newest_first = [*_fitting_turns(reversed(earlier), files, remaining, origin)]
    while newest_first and newest_first[-1].turns[0].role != "user":  # an answer whose question did not fit
        newest_first.pop()
    earlier_turns = [turn for message in reversed(newest_first) for turn in message.turns]
    notices = [notice, *(message.notice for message in newest_first)]
    if missing := len(earlier) - len(newest_first):
        left_out = ngettext(
            "%(num)s earlier message was left out, because this model cannot read more.",
            "%(num)s earlier messages were left out, because this model cannot read more.",
            missing,
        )
        notices.insert(0, left_out)
    return Turns([system_turn, *earlier_turns, question_turn], " ".join(filter(None, notices)))


def _fitting_turns(
    newest_first: Iterable[Message], files: Mapping[int, AnswerAttachment], remaining: int, origin: str
) -> Iterator[Turns]:
    """Yield the turns of each message, with a notice about its files, until the next one exceeds `remaining` tokens.

    The tool calls of an answer may use half of the remaining tokens, so that older messages also fit.
    """
    for message in newest_first:
        turn, notice = _to_turn(message, files, remaining)
        with_calls = answer_turns(message.answer, origin) if message.answer else []
        use_calls = 0 < _count_tokens(with_calls) <= remaining // 2
        turns = with_calls if use_calls else [turn]
        remaining -= _count_tokens(turns)
        if remaining < 0:
            return
        yield Turns(turns, notice)


def _count_tokens(turns: Iterable[llm.Message]) -> int:
    return sum(map(llm.estimate_tokens, turns))


def find_first_read(prompt: Sequence[llm.Message], earlier: Sequence[Message], question: Message) -> int | None:
    """Return the id of the first question in a prompt, or None if the prompt has all earlier questions."""
    questions = [message.id for message in [*earlier, question] if message.role == Role.USER]
    count = sum(turn.role == "user" for turn in prompt)
    return questions[-count] if count < len(questions) else None


def _to_turn(message: Message, files: Mapping[int, AnswerAttachment], budget: int) -> tuple[llm.Message, str]:
    """Return the turn of a message with its files, and a notice about parts of files that exceed `budget` tokens."""
    turn = llm.Message("user" if message.role == Role.USER else "assistant", message.text)
    attachments = [files[id_].shown for id_ in message.attachment_ids if id_ in files]
    if not attachments:
        return turn, ""
    return llm.attach(turn, attachments, budget - llm.estimate_tokens(turn))
