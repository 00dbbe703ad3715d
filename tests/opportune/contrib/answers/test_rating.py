"""Ratings of answers by their owner, for the staff."""

import asyncio
from datetime import date

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.answers.models import Answer, Rating
from opportune.contrib.answers.personal import read
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.feature import Person
from opportune.testing import Make, make_user, signed_in_client
from tests.opportune.contrib.answers.questions import ask, wait_until_ended
from tests.opportune.stored_rows import reload

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
async def answer(app: FastAPI, user: User, fake_llm: FakeProvider) -> Answer:
    fake_llm.script = ["A secret"]
    return await wait_until_ended(app.state.answers, await ask(app.state.answers, user.id, "Of me?", "books:1"))


async def read_rating(database: Database, answer: Answer) -> tuple[Rating | None, str]:
    found = await reload(database, answer)
    return found.rating, found.rating_note


async def test_owner_rates_and_removes_the_rating(app: FastAPI, user_client: AsyncClient, answer: Answer) -> None:
    page, api = f"/answers/{answer.id}/rate", f"/api/v1/answers/{answer.id}/rating"
    fragment = await user_client.post(page, data={"rating": "up", "note": ""}, headers=HTMX)
    assert fragment.text.count('aria-pressed="true" aria-label="Good answer"') == 1
    referer = {"Referer": "http://testserver/accounts/profile"}
    redirected = await user_client.post(page, data={"rating": "down", "note": "Wrong"}, headers=referer)
    assert redirected.headers["location"] == "/accounts/profile"
    assert await read_rating(app.state.database, answer) == (Rating.DOWN, "Wrong")
    assert (await user_client.post(page, data={"rating": "sideways"})).status_code == 422
    assert (await user_client.put(api, json={"rating": "up", "note": "x" * 501})).status_code == 422
    assert (await user_client.put(api, json={"rating": "up", "note": "Good"})).json()["rating_note"] == "Good"
    assert (await user_client.put(api, json={"rating": "", "note": "Good"})).json()["rating"] is None
    assert await read_rating(app.state.database, answer) == (None, "")


async def test_export_contains_ratings_and_usage(app: FastAPI, user: User, answer: Answer, make: Make) -> None:
    other = await make_user(app.state.database, "other@example.com")
    for rater in (user, other):
        await make(LlmUsage, owner_id=rater.id, day=date(2026, 1, 5), model="Fast", prompt_tokens=7)
        # As in a feature that exports questions and answers itself.
        await make(Answer, owner_id=rater.id, topic="books:2", status="done", rating="down", rating_note="Wrong")
    async with app.state.database.reader() as session:
        data = await read(session, Person(user.id, ""))
    (rated,) = data["ratings"]
    assert (rated["topic"], rated["rating"], rated["rating_note"]) == ("books:2", "down", "Wrong")
    assert (date(2026, 1, 5), "Fast", 7) in [(row["day"], row["model"], row["prompt_tokens"]) for row in data["usage"]]
    assert {row["model"] for row in data["usage"]} <= {"Fast", answer.model}


async def test_admin_shows_ratings_but_no_texts(app: FastAPI, user_client: AsyncClient, answer: Answer) -> None:
    await user_client.post(f"/answers/{answer.id}/rate", data={"rating": "down", "note": "Not my book"})
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as admin:
        listed = (await admin.get("/admin/answer/list?rating=down")).text
        details = (await admin.get(f"/admin/answer/details/{answer.id}")).text
        exported = (await admin.get("/admin/answer/export/csv")).text
    assert "books:1" in listed
    assert "Not my book" in details
    for text in (listed, details, exported):
        assert "A secret" not in text
        assert "Of me?" not in text


async def test_running_answer_is_not_rated(
    app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider
) -> None:
    fake_llm.script = [asyncio.Event()]
    running = await ask(app.state.answers, user.id, topic="books:2")
    assert (await user_client.put(f"/api/v1/answers/{running.id}/rating", json={"rating": "up"})).status_code == 409
