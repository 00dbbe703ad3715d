"""Tool calls of a user's answers while a superuser impersonates the user."""

import asyncio

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.dependencies import READ_ONLY
from opportune.accounts.impersonation.service import start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.users.context import AccountContext
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import Done, FakeProvider, LanguageModel, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession
from opportune.testing import make_user, signed_in_client
from opportune.web.client import Client
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, wait_until_ended


async def pay(session: WriteSession) -> str:
    """Pay the bill."""
    return "Paid."


async def ask_to_pay(app: FastAPI, owner_id: int) -> tuple[AnswerManager, Answer]:
    """An answer that waits for the approval of a changing call."""
    model = FakeProvider.in_turn([Done(tool_calls=(ToolCall("c1", "pay", "{}"),))], ["Then not."])
    toolbox = Toolbox(app, [pay])
    app.state.answers = manager = AnswerManager(app.state.database, LanguageModel(lambda: model), lambda: toolbox)
    async with app.state.database.writer() as session:
        answer = await manager.ask(session, "Pay it.", owner_id=owner_id, tools=True)
    await asyncio.wait([manager._tasks[answer.id].task], timeout=TIMEOUT_SECONDS)
    return manager, answer


async def impersonate(client: AsyncClient, app: FastAPI, superuser: User, user_id: int, *, may_write: bool) -> None:
    async with app.state.database.writer() as session:
        session_row = (await session.scalars(select(Session).where(col(Session.user_id) == superuser.id))).one()
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, session_row, user_id, "She asked", may_write=may_write)
    client.cookies.set(cookie_name(app.state.settings), token)


@pytest.mark.parametrize(("may_write", "message"), [(False, READ_ONLY), (True, "needs the scope write")])
async def test_an_impersonator_cannot_approve_tool_calls(app: FastAPI, may_write: bool, message: str) -> None:
    database = app.state.database
    ada, superuser = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    manager, answer = await ask_to_pay(app, ada.id)
    async with signed_in_client(app, superuser) as client:
        await impersonate(client, app, superuser, ada.id, may_write=may_write)
        assert "Pay the bill" in (await client.get(f"/answers/{answer.id}")).text
        for rest in (False, True):
            refused = await client.post(f"/api/v1/answers/{answer.id}/approve", json={"call": 0, "rest": rest})
            assert (refused.status_code, message in refused.json()["detail"]) == (403, True)
        assert (await client.post(f"/answers/{answer.id}/approve", data={"call": 0})).status_code == 403
        assert "Pay the bill" in (await client.get(f"/answers/{answer.id}")).text
    await manager.close()


@pytest.mark.parametrize("may_write", [False, True])
async def test_an_impersonator_refuses_a_call_if_changes_are_allowed(app: FastAPI, may_write: bool) -> None:
    database = app.state.database
    ada, superuser = await make_user(database, "ada@example.com"), await make_user(database, is_superuser=True)
    manager, answer = await ask_to_pay(app, ada.id)
    async with signed_in_client(app, superuser) as client:
        await impersonate(client, app, superuser, ada.id, may_write=may_write)
        refused = await client.post(f"/answers/{answer.id}/refuse", data={"call": 0})
        assert (refused.status_code == 403) is not may_write
    if may_write:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert (await wait_until_ended(manager, answer)).text == "Then not."
    await manager.close()
