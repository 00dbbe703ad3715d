"""A page with a question, files and an answer, built with the macros."""

from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from opportune.accounts import CurrentUser, OptionalUser, User
from opportune.config.settings import Settings
from opportune.contrib.answers import AnswerManager, Answers, FileQuestionForm, answer_page, ask_by_form, show_answer
from opportune.feature import Feature
from opportune.features import accounts, answers, jobs, llm
from opportune.testing.app import create_test_app
from opportune.web import Form, read_form, templates
from tests.opportune.page_templates import add_templates

TOPIC = "waves"
PAGE = """{% extends "base.html" %}{% from "macros/answer.html" import question_form with context %}
{% block content %}<h1>Waves</h1>{{ question_form("/waves", answer, "Your question", form=form) }}{% endblock %}"""

pages = APIRouter()


async def render_page(request: Request, user: User, answers: AnswerManager, form: Form[FileQuestionForm]) -> Response:
    context = {"answer": await answers.newest(TOPIC, user.id), "form": form}
    return templates.render(request, "waves.html", context, form.status)


@pages.get("/waves")
async def waves(request: Request, user: CurrentUser, answers: Answers) -> Response:
    return await render_page(request, user, answers, Form(FileQuestionForm))


@pages.post("/waves")
async def ask_about_waves(request: Request, user: CurrentUser, answers: Answers) -> Response:
    form = await read_form(request, FileQuestionForm)
    answer = await ask_by_form(answers, form, owner_id=user.id, topic=TOPIC)
    if answer is None:
        return await render_page(request, user, answers, form)
    return await show_answer(request, answer, "/waves")


@pages.api_route("/tides", methods=["GET", "POST"])
async def tides(request: Request, user: OptionalUser, answers: Answers) -> Response:
    owner_id = user.id if user else None
    return await answer_page(request, answers, "waves.html", topic="tides", owner_id=owner_id, follow_ups=True)


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    add_templates(monkeypatch, {"waves.html": PAGE})
    feature = Feature("waves", "Waves.", pages=pages)
    app = create_test_app(settings, [accounts, jobs, llm, answers, feature])
    async with app.router.lifespan_context(app):
        yield app
