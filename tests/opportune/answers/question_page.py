"""A page with a question and its answer, by the macros that every project has."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Form, Request, Response

from opportune.accounts import CurrentUser
from opportune.db import WriteSession
from opportune.feature import Feature
from opportune.features import accounts, answers, jobs
from opportune.llm import Answers, show_answer
from opportune.settings import Settings
from opportune.testing.quiet_app import quiet_app
from opportune.text import Line
from opportune.web import templates
from tests.opportune.page_templates import add_templates

TOPIC = "waves"
PAGE = """{% extends "base.html" %}{% from "macros/answer.html" import question_form with context %}
{% block content %}<h1>Waves</h1>{{ question_form("/waves", answer, "Your question") }}{% endblock %}"""

pages = APIRouter()


@pages.get("/waves")
async def waves(request: Request, user: CurrentUser, answers: Answers) -> Response:
    return templates.render(request, "waves.html", {"answer": await answers.newest(TOPIC, user.id)})


@pages.post("/waves")
async def ask_of_waves(
    request: Request, user: CurrentUser, session: WriteSession, answers: Answers, question: Annotated[Line, Form()]
) -> Response:
    answer = await answers.ask(session, question, owner_id=user.id, topic=TOPIC)
    return await show_answer(request, answer, "/waves")


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    add_templates(monkeypatch, {"waves.html": PAGE})
    feature = Feature(name="waves", summary="Waves.", pages=pages)
    app = quiet_app(settings, [accounts, jobs, answers, feature])
    async with app.router.lifespan_context(app):
        yield app
