"""A question by the macro `question_form`, with files, and kept where it is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response

from opportune.accounts import CurrentUser, User
from opportune.feature import Feature
from opportune.features import accounts, answers, jobs
from opportune.llm import AnswerManager, Answers, FakeProvider, FileQuestionForm, ask_by_form, show_answer
from opportune.settings import Settings
from opportune.testing import signed_in_client
from opportune.testing.quiet_app import quiet_app
from opportune.web import Form, read_form, templates
from tests.opportune.page_templates import add_templates

pytestmark = pytest.mark.database("sqlite")

PAGE = """{% extends "base.html" %}{% from "macros/answer.html" import question_form with context %}
{% block content %}<h1>Waves</h1>{{ question_form("/waves", answer, "Your question", form=form) }}{% endblock %}"""
pages = APIRouter()


async def show(request: Request, user: User, answers: AnswerManager, form: Form[FileQuestionForm]) -> Response:
    context = {"answer": await answers.newest("waves", user.id), "form": form}
    return templates.render(request, "waves.html", context, form.status)


@pages.get("/waves")
async def waves(request: Request, user: CurrentUser, answers: Answers) -> Response:
    return await show(request, user, answers, Form(FileQuestionForm))


@pages.post("/waves")
async def ask_of_waves(request: Request, user: CurrentUser, answers: Answers) -> Response:
    form = await read_form(request, FileQuestionForm)
    answer = await ask_by_form(answers, form, owner_id=user.id, topic="waves")
    if answer is None:
        return await show(request, user, answers, form)
    return await show_answer(request, answer, "/waves")


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    add_templates(monkeypatch, {"waves.html": PAGE})
    feature = Feature(name="waves", summary="Waves.", pages=pages)
    app = quiet_app(settings, [accounts, jobs, answers, feature])
    async with app.router.lifespan_context(app):
        yield app


async def test_question_with_a_file_reaches_the_model(app: FastAPI, user: User) -> None:
    app.state.llm.provider = model = FakeProvider("So.")
    files = {"attachments": ("notes.txt", b"Tides are high.", "text/plain")}
    async with signed_in_client(app, user) as client:
        assert 'enctype="multipart/form-data"' in (await client.get("/waves")).text
        response = await client.post("/waves", data={"question": "How high?"}, files=files)
        assert (response.status_code, response.headers["location"]) == (303, "/waves")
        shown = await app.state.answers.newest("waves", user.id)
        await client.get(f"/api/v1/answers/{shown.answer.id}/stream")
    assert "Tides are high." in model.received[0][-1].content


async def test_question_during_an_answer_is_kept(app: FastAPI, user: User) -> None:
    app.state.llm.provider = FakeProvider("So", gate := asyncio.Event())
    async with signed_in_client(app, user) as client:
        await client.post("/waves", data={"question": "One?"})
        response = await client.post("/waves", data={"question": "And <two>?"})
        gate.set()
    assert response.status_code == 409
    assert 'value="And &lt;two&gt;?"' in response.text
    assert "The last answer is still being written." in response.text


@pytest.mark.parametrize(
    ("question", "files"),
    [("x" * 501, {}), ("What is it?", {"attachments": ("a.bin", bytes(range(256)), "application/octet-stream")})],
    ids=["too long", "unreadable file"],
)
async def test_invalid_question_is_kept(
    app: FastAPI, user: User, question: str, files: dict[str, tuple[str, bytes, str]]
) -> None:
    async with signed_in_client(app, user) as client:
        response = await client.post("/waves", data={"question": question}, files=files)
    assert response.status_code == 422
    assert f'value="{question}"' in response.text
    assert 'id="question-refusal" role="alert"' in response.text
