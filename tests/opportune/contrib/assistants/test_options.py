"""Answers with an assistant, from the code of a site."""

import pytest
from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.answers.testing import short_intervals
from opportune.contrib.assistants import Assistant, Audience, assistant_options
from opportune.contrib.llm import FakeProvider
from opportune.testing.rows import Make
from tests.opportune.contrib.answers.questions import ask_and_wait

__all__ = ["short_intervals"]


@pytest.fixture
def provider(app: FastAPI) -> FakeProvider:
    app.state.llm.provider = FakeProvider("It has waves.")
    provider: FakeProvider = app.state.llm.provider
    return provider


@pytest.fixture
def answers(app: FastAPI) -> AnswerManager:
    answers: AnswerManager = app.state.answers
    return answers


async def ask(answers: AnswerManager, user: User, key: int | str) -> Answer:
    options = await assistant_options(answers, user, key)
    return await ask_and_wait(answers, user.id, "What is in it?", **options)


async def test_assistant_gives_its_instructions_and_tools(
    answers: AnswerManager, user: User, make: Make, provider: FakeProvider
) -> None:
    tools = ["removed", "list_todos"]
    await make(Assistant, name="Librarian", shared_with=Audience.SITE, instructions="Be a librarian.", tools=tools)
    await ask(answers, user, "Librarian")
    (prompt,) = provider.received
    assert prompt[0].content.startswith("Be a librarian.")
    assert provider.offered == [["list_todos"]]


async def test_name_finds_only_assistants_of_the_site(answers: AnswerManager, user: User, make: Make) -> None:
    await make(Assistant, name="Librarian", owner_id=user.id, instructions="Be mine.")
    assert (await assistant_options(answers, user, "Librarian"))["system"] == ""


async def test_missing_assistant_is_reported(answers: AnswerManager, user: User, provider: FakeProvider) -> None:
    answer = await ask(answers, user, "Librarian")
    assert answer.text == "It has waves."
    assert answer.omitted == "The assistant Librarian is no longer available. The default answers instead."


async def test_removed_model_is_reported(
    answers: AnswerManager, user: User, make: Make, provider: FakeProvider
) -> None:
    row = await make(Assistant, name="Librarian", owner_id=user.id, model="Gone")
    answer = await ask(answers, user, row.id)
    assert answer.text == "It has waves."
    assert answer.omitted.startswith("The model Gone of the assistant Librarian is no longer available.")
