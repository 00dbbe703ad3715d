"""Routes of all answers: access, also of an impersonating superuser, and effects."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.flows.impersonation import start_impersonation
from opportune.accounts.models import Session, User
from opportune.accounts.request_rules import READ_ONLY
from opportune.accounts.sessions.cookies import cookie_name
from opportune.accounts.users.context import AccountContext
from opportune.contrib.answers import Answer, AnswerManager
from opportune.contrib.answers.screens import api, pages
from opportune.contrib.answers_media import voice
from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession
from opportune.feature import Feature
from opportune.testing import make_token, signed_in_client
from opportune.web.client import Client
from tests.opportune.contrib.answers.questions import ask, wait_until_ended
from tests.opportune.contrib.answers.waiting_answers import StartManager, ask_until_waiting

API = "/api/v1/answers"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
ROUTES = [
    (method, prefix + route.path)
    for prefix, module in (("", pages), ("", voice), ("/api/v1", api))
    for route in module.router.routes
    if isinstance(route, APIRoute) and "{answer_id}" in route.path
    for method in sorted(route.methods or ())
]
"""Methods and paths of routes of one answer."""


async def ask_question(app: FastAPI, user: User) -> Answer:
    manager: AnswerManager = app.state.answers
    return await ask(manager, user.id, topic="books:1")


async def ask_and_stop(app: FastAPI, user: User, fake_llm: FakeProvider) -> Answer:
    fake_llm.script = ["So *far*", asyncio.Event()]
    answer = await ask_question(app, user)
    async with app.state.answers.view(answer) as live, asyncio.timeout(30):
        await anext(live.follow(0))
    await app.state.answers.stop(answer)
    return answer


async def read_events(client: AsyncClient, path: str, **headers: str) -> list[dict[str, Any]]:
    blocks = (await client.get(path, headers=headers)).text.strip().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")) for block in blocks]
    return [{**event, "data": json.loads(event["data"])} for event in fields if event]


async def test_visitors_and_others_see_nothing(app: FastAPI, client: AsyncClient, user: User, superuser: User) -> None:
    answer = await ask_question(app, user)
    await wait_until_ended(app.state.answers, answer)
    async with signed_in_client(app) as stranger, signed_in_client(app, superuser) as root:
        for method, template in ROUTES:
            path = template.format(answer_id=answer.id, call=0)
            response, *others = [await http.request(method, path) for http in (client, stranger, root)]
            if path == f"/answers/{answer.id}/stream":  # otherwise htmx would reconnect forever
                assert {other.text.strip() for other in (response, *others)} == {"event: done\ndata: gone"}
                continue
            assert [other.status_code for other in others] == [404, 404], (method, path)
            if path.startswith(API):
                assert response.status_code == 401, (method, path)
            else:
                assert response.headers["location"].startswith("/accounts/login"), (method, path)


async def test_json_resumes(app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider) -> None:
    fake_llm.script = ["A scripted answer."]
    answer = await ask_question(app, user)
    complete = await read_events(user_client, f"{API}/{answer.id}/stream")
    resumed = await read_events(user_client, f"{API}/{answer.id}/stream", **{"Last-Event-ID": f"{answer.id}:11"})
    read = (await user_client.get(f"{API}/{answer.id}")).json()
    assert (complete[0]["event"], complete[-1]["event"]) == ("status", "done")
    assert "".join(event["data"].get("text", "") for event in complete) == "A scripted answer."
    assert [event["data"]["text"] for event in resumed if event["event"] == "delta"] == ["answer."]
    assert (read["question"], read["text"], read["status"]) == ("Why?", "A scripted answer.", "done")
    assert "prompt" not in read


async def test_html_stream_updates_the_page(app: FastAPI, user: User, fake_llm: FakeProvider) -> None:
    gate = asyncio.Event()
    fake_llm.script = ["The first half", gate, " and the *second*."]
    answer = await ask_question(app, user)
    async with signed_in_client(app, user) as client, asyncio.timeout(30):
        while "The first half" not in (page := (await client.get(f"/answers/{answer.id}")).text):
            await asyncio.sleep(0)
        assert f'hx-sse:connect="/answers/{answer.id}/stream?after={answer.id}:14"' in page
        refresh = f'<meta http-equiv="refresh" content="2; url=/answers/{answer.id}"'
        assert refresh in page, "the page reloads without JavaScript"
        gate.set()
        streamed = (await client.get(f"/answers/{answer.id}/stream?after={answer.id}:14")).text
        complete = (await client.get(f"/answers/{answer.id}")).text
    assert "event: grow" in streamed
    assert "event: done" in streamed
    assert "and the <em>second</em>." in complete
    assert "hx-sse:connect" not in complete


async def test_stop_and_retry(app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider) -> None:
    answer = await ask_and_stop(app, user, fake_llm)
    page = (await user_client.get(f"/answers/{answer.id}")).text
    assert all(word in page for word in ("Stopped", "Continue", "Try again"))
    fake_llm.script = [" so good."]
    response = await user_client.post(f"/answers/{answer.id}/continue", headers=HTMX)
    assert f'id="answer-{answer.id}"' in response.text
    await wait_until_ended(app.state.answers, (await app.state.answers.newest("books:1", user.id)).answer)
    assert "So <em>far</em> so good." in (await user_client.get(f"/answers/{answer.id}")).text
    # complete answers cannot be continued
    for path in ("continue", "retry"):
        assert (await user_client.post(f"{API}/{answer.id}/{path}")).json()["id"] == answer.id
    assert [turn.content for turn in fake_llm.received[1][:2]] == ["Why?", "So *far*"]
    assert fake_llm.received[1][-1].content.startswith("Continue exactly")


async def test_running_is_kept(app: FastAPI, user_client: AsyncClient, user: User, fake_llm: FakeProvider) -> None:
    failed = await ask_and_stop(app, user, fake_llm)
    running = await ask_question(app, user)
    assert (await user_client.post(f"{API}/{running.id}/retry")).json()["id"] == running.id
    assert (await user_client.post(f"{API}/{failed.id}/retry")).status_code == 409
    assert (await user_client.post(f"/answers/{failed.id}/continue")).status_code == 409
    assert (await user_client.post(f"{API}/{running.id}/stop")).status_code == 204
    assert (await user_client.get(f"{API}/{running.id}")).json()["status"] == "stopped"


async def test_token_needs_scope_of_the_feature(app: FastAPI, client: AsyncClient, user: User) -> None:
    app.state.features = [*app.state.features, Feature("books", "Books.")]
    answer = await ask_question(app, user)
    await wait_until_ended(app.state.answers, answer)
    statuses = []
    for scopes in ("answers:read answers:write", "answers:read books:read", "answers:write books:read", "read write"):
        headers = {"Authorization": f"Bearer {await make_token(app.state.database, user, scopes)}"}
        paths = [("GET", ""), ("GET", "/stream"), ("POST", "/stop")]
        answers = [await client.request(method, f"{API}/{answer.id}{path}", headers=headers) for method, path in paths]
        statuses.append([answer.status_code for answer in answers])
    assert statuses == [[403, 403, 403], [200, 200, 403], [403, 403, 403], [200, 200, 204]]


async def pay(session: WriteSession) -> str:
    """Pay the bill."""
    return "Paid."


async def impersonate(client: AsyncClient, app: FastAPI, superuser: User, user_id: int, *, may_write: bool) -> None:
    async with app.state.database.writer() as session:
        session_row = (await session.scalars(select(Session).where(col(Session.user_id) == superuser.id))).one()
        context = AccountContext(session, app.state.settings, app.state.rate_limiter, Client())
        _, token = await start_impersonation(context, superuser, session_row, user_id, "She asked", may_write=may_write)
    client.cookies.set(cookie_name(app.state.settings), token)


@pytest.mark.parametrize(("may_write", "message"), [(False, READ_ONLY), (True, "needs the scope write")])
async def test_impersonator_cannot_approve_tool_calls(
    app: FastAPI,
    user: User,
    superuser: User,
    superuser_client: AsyncClient,
    start_manager: StartManager,
    may_write: bool,
    message: str,
) -> None:
    """An impersonator with permission to write may refuse them."""
    model = FakeProvider.in_turn([Done(tool_calls=(ToolCall("c1", "pay", "{}"),))], ["Then not."])
    manager = start_manager(model, Toolbox(app, [pay]))
    answer = await ask_until_waiting(manager, user)
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
