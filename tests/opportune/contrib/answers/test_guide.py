"""Examples of docs/llm-pages.md."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.config.settings import Settings
from opportune.contrib.llm import FakeProvider
from opportune.db.hooks.registry import temporary_hooks
from opportune.feature import Feature, Jobs
from opportune.features import answers
from opportune.testing import RecordedJobs
from opportune.testing.app import create_test_app
from tests.opportune.contrib.llm.books import Book, add_current_book
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.page_templates import add_templates

GUIDE = read_guide("llm-pages.md")
HTML = "".join(code_blocks(GUIDE, "html"))
PAGE = '{% extends "base.html" %}{% block content %}<h1>Waves</h1>' + HTML + "{% endblock %}"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    add_current_book(monkeypatch)
    add_templates(monkeypatch, {"books/book.html": PAGE})
    return run_code(*code_blocks(GUIDE), Book=Book)


@pytest.fixture
async def app(settings: Settings, names: dict[str, Any]) -> AsyncIterator[FastAPI]:
    words = Feature("words", "Words.", pages=names["router"], jobs=Jobs([names["judge"]]))
    books = Feature("books", "Books.", pages=names["pages"], jobs=Jobs([names["index_answer"]]))
    from opportune.features import accounts, jobs, llm

    app = create_test_app(settings, [accounts, jobs, llm, answers, words, books])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(autouse=True)
def _hooks() -> Any:
    with temporary_hooks():
        yield


async def test_guide_example_queues_a_job(app: FastAPI, recorded_jobs: RecordedJobs, names: dict[str, Any]) -> None:
    app.state.database.info["jobs"] = recorded_jobs
    await names["test_a_book_is_asked_about"](app)
    assert recorded_jobs.names == ["books.index_answer"]


async def test_guide_routes_return_model_answers(
    app: FastAPI, client: AsyncClient, recorded_jobs: RecordedJobs, names: dict[str, Any], capsys: Any
) -> None:
    app.state.llm.provider = FakeProvider("Waves again.")
    assert (await client.get("/words/haiku?about=waves")).json() == "Waves again."
    app.state.llm.provider = FakeProvider('It is: {"is_friendly": true, "reason": "Thanks."}')
    assert (await client.get("/words/sentiment?text=Thanks")).json()["is_friendly"] is True
    await names["judge"].function(recorded_jobs.context, "Thanks")
    assert capsys.readouterr().out == "True\n"
