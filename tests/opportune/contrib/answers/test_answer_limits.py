"""Limits of one answer: steps, seconds of work, and cost."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerLimits, AnswerManager
from opportune.contrib.answers.lifespan import site_limits
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.i18n import use_language
from tests.opportune.contrib.answers.priced_model import PRICED
from tests.opportune.contrib.answers.questions import ask_and_wait, resume, retry, wait_until_ended
from tests.opportune.contrib.answers.waiting_answers import StartManager

FIND = Done(100, 400, tool_calls=(ToolCall("call_0", "find_book", "{}"),))

searches: list[str] = []


async def find_book() -> str:
    """Find a book."""
    searches.append("find")
    return "Third shelf."


@pytest.fixture
def librarian() -> FakeProvider:
    return FakeProvider("Step. ", FIND)


@pytest.fixture
def manager(app: FastAPI, librarian: FakeProvider, start_manager: StartManager) -> AnswerManager:
    searches.clear()
    manager = start_manager(librarian, Toolbox(app, [find_book]), limits=site_limits(AnswersSettings()))
    manager.llm.model, manager.llm.models = PRICED, [PRICED]
    return manager


async def ask(manager: AnswerManager, user: User, **limits: Any) -> Answer:
    return await ask_and_wait(manager, user.id, tools=True, limits=AnswerLimits(**limits))


async def test_last_step_has_no_tools_and_says_so(
    user_client: AsyncClient, manager: AnswerManager, user: User, librarian: FakeProvider
) -> None:
    librarian.next_scripts = [["Step. ", FIND], ["It is there."], [" Look."]]
    with use_language("de"):
        answer = await ask(manager, user, steps=2)
    assert (answer.status, answer.error_code, answer.text) == ("truncated", "step_limit", "Step. Step. It is there.")
    assert (len(librarian.offered), len(librarian.received), len(searches)) == (2, 3, 2)
    page = (await user_client.get(f"/answers/{answer.id}")).text
    assert "This answer has used all of its steps, so it may be incomplete." in page
    assert "Cut at the maximum length" not in page
    ended = await resume(manager, answer)
    assert (ended.status, ended.error, ended.text[-12:]) == ("done", "", "there. Look.")


async def test_time_limit_keeps_the_text(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    librarian.script, librarian.next_scripts = ["So ", asyncio.Event()], [["far."]]
    answer = await ask(manager, user, seconds=0.3)
    assert (answer.status, answer.error_code, answer.text) == ("failed", "time_limit", "So ")
    assert answer.error == "This answer has reached its time limit."
    assert (await resume(manager, answer)).text == "So far."


async def test_cost_limit_ends_before_the_next_step(
    user_client: AsyncClient, manager: AnswerManager, user: User, librarian: FakeProvider
) -> None:
    answer = await ask(manager, user, cost=0.003)  # a call costs 0.0017
    assert (answer.status, answer.error_code, answer.text) == ("failed", "cost_limit", "Step. Step. ")
    assert answer.error == "This answer has reached its cost limit."
    assert (answer.cost_micro, len(librarian.received), len(searches)) == (3_400, 2, 1)
    page = (await user_client.get(f"/answers/{answer.id}")).text
    assert (">Try again<" in page, ">Continue<" in page) == (True, False)
    ended = await resume(manager, answer)
    assert (ended.error_code, ended.cost_micro, len(librarian.received)) == ("cost_limit", 3_400, 2)


async def test_cost_limit_ends_a_long_text(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    librarian.script = ["word " * 400] * 9
    answer = await ask(manager, user, cost=0.005)  # 500 tokens cost 0.002
    assert (answer.error_code, answer.text) == ("cost_limit", "word " * 1200)


async def test_limits_come_from_settings_and_survive_retry(manager: AnswerManager, user: User) -> None:
    settings = AnswersSettings(llm_max_steps_per_answer=3, llm_max_seconds_per_answer=9)
    limits = site_limits(settings).having({"steps": 5.0})
    assert (limits.max_steps, limits.seconds, limits.cost) == (5, 9, 0)
    answer = await ask(manager, user, seconds=9, cost=0.001)
    assert (await wait_until_ended(manager, await retry(manager, answer))).limits == {"seconds": 9, "cost": 0.001}
