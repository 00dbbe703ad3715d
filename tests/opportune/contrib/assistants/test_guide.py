"""The page of docs/assistants.md."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.contrib.assistants import Assistant, Audience
from opportune.contrib.llm import FakeProvider
from opportune.feature import Feature
from opportune.project.installed import installed_names
from opportune.testing.rows import Make
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.page_templates import add_templates
from tests.opportune.site_with import database, site_with

__all__ = ["database"]  # a fixture: the database of this site


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    (code,), (template,) = (code_blocks(read_guide("assistants.md"), language) for language in ("python", "jinja"))
    names = run_code(code)
    add_templates(monkeypatch, {"desk/desk.html": template})
    async with site_with(Feature("desk", pages=names["pages"]), settings, others=installed_names()) as app:
        yield app


async def test_page_answers_with_the_assistant(app: FastAPI, user_client: AsyncClient, user: User, make: Make) -> None:
    provider = app.state.llm.provider = FakeProvider("On shelf 3.")
    await make(Assistant, name="Librarian", shared_with=Audience.SITE, instructions="Be a librarian.")
    assert "Ask the librarian" in (await user_client.get("/desk")).text
    assert (await user_client.post("/desk", data={"question": "Where is Dune?"})).headers["location"] == "/desk"
    newest = await app.state.answers.newest("desk", user.id)
    async with asyncio.timeout(30):
        await user_client.get(f"/api/v1/answers/{newest.answer.id}/stream")  # until the answer ends
    assert "On shelf 3." in (await user_client.get("/desk")).text
    assert provider.received[0][0].content.startswith("Be a librarian.")
