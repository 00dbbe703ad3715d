"""Questions about an entry, which a language model answers."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from playwright.async_api import Page, expect

from opportune.accounts import User
from opportune.llm import FakeProvider
from opportune.testing import make_user, sign_in_browser, signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.pydocs.fake_search import FakeSearch

# What is asked of the database is asked of both kinds in the tests of answers.
pytestmark = pytest.mark.database("sqlite")


async def test_a_visitor_sees_no_form_and_is_sent_to_sign_in(client: AsyncClient, fake_search: FakeSearch) -> None:
    assert "Ask about" not in (await client.get("/pydocs/os.path")).text
    response = await client.post("/pydocs?slug=os.path", data={"question": "Why?"})
    assert response.headers["location"].startswith("/accounts/login")


async def test_what_is_asked_without_javascript_is_answered_from_the_entry(
    app: FastAPI, fake_search: FakeSearch, fake_llm: FakeProvider
) -> None:
    fake_llm.script = ["A *scripted* answer."]
    async with signed_in_client(app) as client:
        asked = await client.post("/pydocs?slug=os.path.join", data={"question": "What <for>?"})
        answer = await app.state.answers.newest("pydocs:os.path.join", 1)
        async with app.state.answers.view(answer.answer) as live, asyncio.timeout(10):
            async for _ in live.growth(0):
                pass
        page = (await client.get(asked.headers["location"])).text
    assert asked.headers["location"] == "/pydocs/os.path.join"
    assert "What &lt;for&gt;?" in page
    assert "A <em>scripted</em> answer." in page
    assert "Join one or more path segments &amp; more" not in fake_llm.received[0][0].content, "as text and not as HTML"
    assert "Join one or more path segments & more" in fake_llm.received[0][0].content
    async with signed_in_client(app, await make_user(app.state.database)) as stranger:
        assert "scripted" not in (await stranger.get("/pydocs/os.path.join")).text


@pytest.mark.parametrize(("slug", "question", "status"), [("os.nothing", "Why?", 404), ("os", " ", 422)])
async def test_a_question_about_nothing_and_no_question_are_refused(
    app: FastAPI, fake_search: FakeSearch, slug: str, question: str, status: int
) -> None:
    async with signed_in_client(app) as client:
        assert (await client.post(f"/pydocs?slug={slug}", data={"question": question})).status_code == status


async def test_an_answer_grows_in_the_page_survives_a_reload_is_stopped_and_goes_on(
    page: Page, app: FastAPI, site: str, user: User, fake_search: FakeSearch, fake_llm: FakeProvider
) -> None:
    await sign_in_browser(page, app, user, site)
    fake_llm.script = ["The *first* part", asyncio.Event()]
    await page.goto("/pydocs/os.path")
    await page.get_by_label("Ask about os.path").fill("Why?")
    await page.get_by_label("Ask about os.path").press("Enter")
    answer = page.get_by_role("article", name="Answer")
    await expect(answer.locator("em")).to_have_text("first")
    await page.reload()
    await expect(answer.locator("em")).to_have_text("first")
    await answer.get_by_role("button", name="Stop").press("Enter")
    await expect(answer.get_by_text("Stopped")).to_be_visible()
    await expect(answer.get_by_role("button", name="Continue")).to_be_focused()
    fake_llm.script = [" and the rest."]
    await answer.get_by_role("button", name="Continue").click()
    await expect(answer.locator(".markdown").first).to_have_text("The first part and the rest.")
    await expect(answer.get_by_role("button", name="Continue")).to_have_count(0)
    assert not await find_violations(page)
