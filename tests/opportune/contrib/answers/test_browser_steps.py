"""A question to the user and the progress of a job in Chromium."""

import asyncio
from typing import Literal

from fastapi import FastAPI
from playwright.async_api import Page, expect
from pydantic import BaseModel, Field

from opportune.accounts import User
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox, ask_user, tool
from opportune.jobs import JobContext
from opportune.testing import sign_in_browser
from opportune.testing.services.accessibility import find_violations
from tests.opportune.contrib.answers.questions import ask

begun, may_end = asyncio.Event(), asyncio.Event()


class Audience(BaseModel):
    """Ask for whom the page is."""

    readers: Literal["beginners", "experts"]
    max_words: int = Field(default=500, ge=100)


async def write_page(run: JobContext, title: str) -> str:
    """Write the page"""
    await run.progress(3, 7, f"The section about {title}, which has a rather long heading")
    begun.set()
    await may_end.wait()
    return "Written."


async def test_question_and_progress_in_the_browser(
    page: Page, app: FastAPI, site: str, user: User, fake_llm: FakeProvider
) -> None:
    global begun, may_end
    begun, may_end = asyncio.Event(), asyncio.Event()
    toolbox = Toolbox(app, [ask_user(Audience), tool(write_page, asks=False)])
    manager: AnswerManager = app.state.answers
    manager.engine.resources.make_toolbox = app.state.tool_jobs.make_toolbox = lambda: toolbox
    question = ToolCall("a", "ask_audience", '{"question": "For whom is the page, and how long may it be?"}')
    write = ToolCall("b", "write_page", '{"title": "bees"}')
    fake_llm.script = ["I ask you first. ", Done(tool_calls=(question,))]
    fake_llm.next_scripts = [[Done(tool_calls=(write,))], ["Here it is."]]
    await sign_in_browser(page, app, user, site)
    answer = await ask(manager, user.id, "Write a page about bees.", tools=True)
    await page.goto(f"/answers/{answer.id}")
    await expect(page.get_by_text("For whom is the page")).to_be_visible()
    await expect(page.get_by_label("Max words")).to_be_visible()
    assert not await find_violations(page)
    await page.get_by_label("Max words").fill("300")
    await page.evaluate("document.querySelector('.answer-approval').dataset.age = 'old'")
    manager.engine.followers.close_streams()  # the page reconnects, and gets the calls again
    await expect(page.locator(".answer-approval[data-age]")).to_have_count(0)
    await expect(page.get_by_label("Max words")).to_have_value("300")
    await page.get_by_label("Readers").select_option("experts")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("button", name="Send")).to_have_count(0)
    working = asyncio.create_task(app.state.jobs.worker.drain())
    await expect(page.get_by_text("3 of 7: The section")).to_be_visible()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    assert not await find_violations(page)
    may_end.set()
    await working
    await expect(page.get_by_text("Here it is.")).to_be_visible()
