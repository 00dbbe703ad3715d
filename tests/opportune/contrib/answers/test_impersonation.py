"""Tool calls of a user's answers while a superuser impersonates the user."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.dependencies import READ_ONLY
from opportune.accounts.flows.impersonation import start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.users.context import AccountContext
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession
from opportune.web.client import Client
from tests.opportune.contrib.answers.questions import ask, wait_until_ended
from tests.opportune.contrib.answers.waiting_answers import start_manager, wait_for_tasks


async def pay(session: WriteSession) -> str:
    """Pay the bill."""
    return "Paid."


async def ask_to_pay(app: FastAPI, owner_id: int) -> tuple[AnswerManager, Answer]:
    """An answer that waits for the approval of a changing call."""
    model = FakeProvider.in_turn([Done(tool_calls=(ToolCall("c1", "pay", "{}"),))], ["Then not."])
    manager = start_manager(app, model, Toolbox(app, [pay]))
    answer = await ask(manager, owner_id, "Pay it.", tools=True)
    await wait_for_tasks(manager)
    return manager, answer


async def impersonate(client: AsyncClient, app: FastAPI, superuser: User, user_id: int, *, may_write: bool) -> None:
    async with app.state.database.writer() as session:
        session_row = (await session.scalars(select(Session).where(col(Session.user_id) == superuser.id))).one()
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, session_row, user_id, "She asked", may_write=may_write)
    client.cookies.set(cookie_name(app.state.settings), token)


@pytest.mark.parametrize(("may_write", "message"), [(False, READ_ONLY), (True, "needs the scope write")])
async def test_impersonator_cannot_approve_tool_calls(
    app: FastAPI, user: User, superuser: User, superuser_client: AsyncClient, may_write: bool, message: str
) -> None:
    """An impersonator with permission to write may refuse them."""
    manager, answer = await ask_to_pay(app, user.id)
    client, path = superuser_client, f"/answers/{answer.id}"
    await impersonate(client, app, superuser, user.id, may_write=may_write)
    assert "Pay the bill" in (await client.get(path)).text
    for rest in (False, True):
        refused = await client.post(f"/api/v1{path}/approve", json={"call": 0, "rest": rest})
        assert (refused.status_code, message in refused.json()["detail"]) == (403, True)
    assert (await client.post(f"{path}/approve", data={"call": 0})).status_code == 403
    assert "Pay the bill" in (await client.get(path)).text
    assert (await client.post(f"{path}/refuse", data={"call": 0})).status_code == (303 if may_write else 403)
    if may_write:
        assert (await wait_until_ended(manager, answer)).text == "Then not."
    await manager.close()
