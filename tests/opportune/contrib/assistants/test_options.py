"""Answers with an assistant, from the code of a site, limited to some collections; variables of prompts."""

import json

import pytest
from fastapi import FastAPI

from opportune.accounts.models import User
from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.answers.testing import short_intervals
from opportune.contrib.assistants import Assistant, Audience, assistant_options, fill, options_of, variable_form
from opportune.contrib.assistants.variables import variables_of
from opportune.contrib.knowledge import KnowledgeCollection, KnowledgeDocument, KnowledgePassage
from opportune.contrib.llm import FakeProvider, ToolCall
from opportune.contrib.tools import full_toolbox_of
from opportune.db.database import Database
from opportune.testing import Make, make_user
from tests.opportune.contrib.answers.questions import ask_and_wait

__all__ = ["short_intervals"]

SEARCH = "search_knowledge"


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


@pytest.mark.usefixtures("provider")
async def test_missing_assistant_or_model_is_reported(answers: AnswerManager, user: User, make: Make) -> None:
    missing = await ask(answers, user, "Librarian")
    await make(Assistant, name="Librarian", shared_with=Audience.SITE, model="Gone")
    without_model = await ask(answers, user, "Librarian")
    assert (missing.text, without_model.text) == ("It has waves.", "It has waves.")
    assert missing.omitted == "The assistant Librarian is no longer available. The default answers instead."
    assert without_model.omitted.startswith("The model Gone of the assistant Librarian is no longer available.")


@pytest.fixture
async def shelves(make: Make, user: User) -> list[KnowledgeCollection]:
    collections = [await make(KnowledgeCollection, name=name, owner_id=user.id) for name in ("Menu", "Garden")]
    for collection in collections:
        document = await make(KnowledgeDocument, collection_id=collection.id, title=collection.name)
        await make(KnowledgePassage, document_id=document.id, number=1, heading=collection.name, text="Green tea.")
    return collections


async def search(app: FastAPI, user: User, tools: list[str]) -> list[str]:
    assistant = Assistant(name="Waiter", tools=["*"], knowledge=tools)
    toolbox = full_toolbox_of(app).named(options_of(assistant, app.state.llm)["tools"])
    result = await toolbox.call(ToolCall("1", SEARCH, json.dumps({"words": "tea"})), user)
    assert not result.is_error, result.text
    return sorted(source.title for source in result.sources)


async def test_search_is_limited_to_collections(
    app: FastAPI, database: Database, user: User, shelves: list[KnowledgeCollection]
) -> None:
    assert await search(app, user, []) == ["Garden", "Menu"]
    assert await search(app, user, [f"{SEARCH}:{shelves[0].id}"]) == ["Menu"]
    assert await search(app, await make_user(database), [f"{SEARCH}:{shelves[0].id}"]) == [], "it needs permission"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("No variable, { no } {{}} {{ }}.", {}),
        ("{{tone: friendly | formal }}", {"tone": ("friendly", "formal")}),
        ("{{tone}} {{tone:friendly|formal}}", {"tone": ("friendly", "formal")}),
        ("{{topic:}} {{a{{b}}", {"topic": (), "b": ()}),
    ],
)
def test_variables_are_found(text: str, variables: dict[str, tuple[str, ...]]) -> None:
    assert variables_of(text) == variables


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{{topic}} in a {{tone:friendly|formal}} tone, {{ topic }}!", ("tea", "formal"), "tea in a formal tone, tea!"),
        ("{{a}} {{b}}", ("{{b}}", "\\1"), "{{b}} \\1"),
    ],
    ids=["values", "values that look like variables"],
)
def test_values_replace_variables(text: str, values: tuple[str, str], filled: str) -> None:
    form = variable_form(text).model_validate({"variable_0": values[0], "variable_1": values[1]})
    assert fill(text, form) == filled
