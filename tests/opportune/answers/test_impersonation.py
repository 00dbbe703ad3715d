"""A superuser who uses somebody's account has nothing changed by a model in their name."""

import asyncio

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.context import AccountContext
from opportune.accounts.impersonation.service import start_impersonation
from opportune.accounts.models import Session
from opportune.accounts.sessions.cookies import cookie_name
from opportune.answers.manager import AnswerManager
from opportune.db import WriteSession
from opportune.llm import Done, FakeProvider, LanguageModel, ToolCall
from opportune.testing import make_user, signed_in_client
from opportune.tools import Toolbox
from opportune.web.client import Client
from tests.opportune.answers.questions import TIMEOUT_SECONDS, wait_until_ended

pytestmark = pytest.mark.database("sqlite")


async def pay(session: WriteSession) -> str:
    """Pay the bill."""
    return "Paid."


async def test_a_superuser_in_somebodys_account_allows_no_tool_to_change_anything(app: FastAPI) -> None:
    database = app.state.database
    ada, boss = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    model = FakeProvider.in_turn([Done(tool_calls=(ToolCall("c1", "pay", "{}"),))], ["Then not."])
    box = Toolbox(app, [pay])
    app.state.answers = manager = AnswerManager(database, LanguageModel(lambda: model), lambda: box)
    async with database.writer() as session:
        answer = await manager.ask(session, "Pay it.", owner_id=ada.id, tools=True)
    await asyncio.wait([manager._tasks[answer.id].task], timeout=TIMEOUT_SECONDS)
    async with signed_in_client(app, boss) as client:
        async with database.writer() as session:
            here = (await session.scalars(select(Session).where(col(Session.user_id) == boss.id))).one()
            context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
            _, token = await start_impersonation(context, boss, here, ada.id, "She asked")
        client.cookies.set(cookie_name(app.state.settings), token)
        assert "Pay the bill" in (await client.get(f"/answers/{answer.id}")).text
        for rest in (False, True):
            refused = await client.post(f"/api/v1/answers/{answer.id}/approve", json={"call": 0, "rest": rest})
            assert (refused.status_code, "needs the scope write" in refused.json()["detail"]) == (403, True)
        assert (await client.post(f"/answers/{answer.id}/approve", data={"call": 0})).status_code == 403
        await client.post(f"/answers/{answer.id}/refuse", data={"call": 0})
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert (await wait_until_ended(manager, answer)).text == "Then not."
    await manager.close()
