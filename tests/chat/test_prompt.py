"""Messages of a prompt that fit into the model's context."""

from collections.abc import Sequence

import pytest

from app.chat.models import Message, Role
from app.chat.prompt import SYSTEM_PROMPT, build_prompt
from opportune.contrib import llm
from opportune.contrib.answers import Answer, AnswerAttachment

LARGE_BUDGET = 10_000
"""Tokens into which all messages of a test fit."""


def get_prompt(messages: list[Message], question: Message, budget: int = LARGE_BUDGET) -> list[llm.Message]:
    return build_prompt(messages, question, budget)[0]


def make_messages(*texts: str) -> list[Message]:
    """Return messages with these texts: a question, its answer, the next question and so on."""
    return [make_question(i, text) if i % 2 == 0 else make_answer(i, text) for i, text in enumerate(texts)]


def make_question(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.USER, question=text)


def make_answer(number: int, text: str) -> Message:
    return Message(id=number, conversation_id=1, role=Role.ASSISTANT, answer=Answer(text=text))


OLD_TURN = ("old " * 100, "old answer " * 100)
LONG_QUESTION = "weighty " * 1_000


@pytest.mark.parametrize(
    ("texts", "question", "budget", "sent"),
    [
        pytest.param(("one", "answer", "two"), 2, LARGE_BUDGET, ["one", "answer", "two"], id="messages in order"),
        pytest.param((*OLD_TURN, "new", "answer", "now"), 4, 30, ["new", "answer", "now"], id="old turns are dropped"),
        pytest.param(("long " * 300, "short", "next"), 2, 20, ["next"], id="no answer without its question"),
        pytest.param((LONG_QUESTION,), 0, 10, [LONG_QUESTION.strip()], id="the question is always sent"),
        pytest.param(("one", "failed", "two", "later"), 0, LARGE_BUDGET, ["one"], id="a retry omits later messages"),
        pytest.param(("one", "", "two"), 2, LARGE_BUDGET, ["one", "two"], id="no empty answer"),
    ],
)
def test_prompt_has_the_newest_messages_that_fit(
    texts: Sequence[str], question: int, budget: int, sent: list[str]
) -> None:
    """The budget is that of the messages, without the instructions."""
    messages = make_messages(*texts)
    system, *turns = get_prompt(messages, messages[question], llm.estimate_tokens(SYSTEM_PROMPT) + budget)
    assert (system.role, system.content) == ("system", SYSTEM_PROMPT)
    assert [turn.content.strip() for turn in turns] == sent


def test_omitted_messages_and_files_are_reported() -> None:
    messages = make_messages("old " * 100, "old answer " * 100, "new", "new answer", "question")
    budget = llm.estimate_tokens(SYSTEM_PROMPT) + 30
    message = "2 earlier messages were left out, because this model cannot read more."
    assert build_prompt(messages, messages[4], budget)[1] == message
    assert build_prompt(messages[2:], messages[4], budget)[1] == ""
    messages[0].attachment_ids = messages[4].attachment_ids = [7]
    long_text = "word " * 400
    file = AnswerAttachment(filename="a.txt", content_type="text/plain", size_bytes=1, stored_as="", text=long_text)
    sent, omitted = build_prompt(messages[4:], messages[4], budget + 200, files={7: file})
    assert (len(sent), "% of a.txt fit" in omitted) == (2, True)
    sent, omitted = build_prompt(messages[:1], messages[3], budget + 200, system="Rhyme.", files={7: file})
    assert (sent[0].content, len(sent), "% of a.txt fit" in omitted) == ("Rhyme.", 3, True)


def test_calls_come_back_to_their_endpoint_if_they_fit() -> None:
    messages = make_messages("first", "answer", "second")
    assert messages[1].answer
    run = {"id": "a", "name": "find", "arguments": "{}", "result": "Found. " * 50, "round": 0, "at": 0}
    messages[1].answer.tool_runs = [{**run, "returned": {"origin": "here", "call": {"extra_content": "x"}}}]
    sent = build_prompt(messages, messages[2], LARGE_BUDGET, origin="here")[0]
    assert [turn.role for turn in sent] == ["system", "user", "assistant", "tool", "assistant", "user"]
    for budget, origin in [(LARGE_BUDGET, "elsewhere"), (150, "here")]:
        sent = build_prompt(messages, messages[2], budget, origin=origin)[0]
        assert [turn.role for turn in sent] == ["system", "user", "assistant", "user"]
