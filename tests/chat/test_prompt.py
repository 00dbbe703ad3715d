"""What the model reads: messages that fit into its context, and the mark above the first one."""

import re
from collections.abc import Sequence

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat.models import Message, Role
from app.chat.prompt import SYSTEM_PROMPT, build_prompt
from opportune.accounts import User
from opportune.contrib import llm
from opportune.contrib.answers import Answer, AnswerAttachment
from opportune.contrib.llm import FakeProvider, LanguageModel
from tests.chat.conversations import make_conversation

LARGE_BUDGET = 10_000
"""Tokens into which all messages of a test fit."""
OLD_TURN = ("old " * 100, "old answer " * 100)
LONG_QUESTION = "weighty " * 1_000
MARK = "did not read the messages above"


def make_messages(*texts: str) -> list[Message]:
    """Return messages with these texts: a question, its answer, the next question and so on."""
    return [
        Message(id=i, conversation_id=1, role=Role.ASSISTANT, answer=Answer(text=text))
        if i % 2
        else Message(id=i, conversation_id=1, role=Role.USER, question=text)
        for i, text in enumerate(texts)
    ]


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
def test_prompt_has_newest_messages_that_fit(texts: Sequence[str], question: int, budget: int, sent: list[str]) -> None:
    """The budget is that of the messages, without the instructions."""
    messages = make_messages(*texts)
    system, *turns = build_prompt(messages, messages[question], llm.estimate_tokens(SYSTEM_PROMPT) + budget)[0]
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


@pytest.fixture
async def number(app: FastAPI, user: User, fake_llm: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> int:
    """Id of a conversation of six questions, of which the model can read the newest ones."""
    monkeypatch.setattr(LanguageModel, "context_budget", 60)
    return await make_conversation(app.state.database, user.id, 6)


async def test_mark_is_above_first_read(user_client: AsyncClient, number: int, fake_llm: FakeProvider) -> None:
    await user_client.post(f"/chat/{number}/messages", data={"content": "And now?"})
    await user_client.get(f"/chat/{number}/stream")
    read = [turn.content for turn in fake_llm.received[-1] if turn.role == "user"]
    assert 1 < len(read) < 7
    html = (await user_client.get(f"/chat/{number}")).text
    assert html.count(MARK) == 1
    following = html[html.index(MARK) :]
    assert re.findall(r'<div class="chat-question">([^<]+)', following) == read
