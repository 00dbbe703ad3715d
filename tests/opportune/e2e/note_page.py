"""A page with a list of notes, and a form to add one."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from opportune.config.settings import Settings
from opportune.feature import Feature
from opportune.features import accounts, jobs
from opportune.testing.app import create_test_app
from opportune.web import Form, is_htmx, read_form, templates
from tests.opportune.page_templates import add_templates

PAGE = """{% extends "base.html" %}
{% block content %}<h1>Notes</h1>
{% from "macros/forms.html" import form_fields %}
<form method="post" action="/notes" hx-post="/notes" hx-target="#notes" hx-swap="outerHTML">
  {{ form_fields(form) }}<button class="btn">Add</button></form>
{% block notes %}<ul id="notes">{% for title in titles %}<li>{{ title }}</li>{% endfor %}</ul>{% endblock %}
{% endblock %}"""


class Note(BaseModel):
    title: str


pages = APIRouter(prefix="/notes")
titles: list[str] = []
may_add = asyncio.Event()


@pages.get("")
async def show(request: Request) -> Response:
    return templates.render(request, "notes.html", {"form": Form(Note), "titles": titles})


@pages.post("")
async def add(request: Request) -> Response:
    form = await read_form(request, Note)
    assert form.data
    await may_add.wait()
    titles.append(form.data.title)
    if is_htmx(request):
        return templates.render_block(request, "notes.html", "notes", {"titles": titles})
    return RedirectResponse("/notes", 303)


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    add_templates(monkeypatch, {"notes.html": PAGE})
    titles.clear()
    may_add.set()
    app = create_test_app(settings, [accounts, jobs, Feature("notes", "Notes.", pages=pages)])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def blocked_adding() -> Iterator[asyncio.Event]:
    """Requests that add a note wait until the test sets this event."""
    may_add.clear()
    yield may_add
    may_add.set()
