"""Answers of models that call tools."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from sqlalchemy.exc import OperationalError

from opportune.accounts import CurrentUser, User
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.dependencies import Answers
from opportune.contrib.llm import Done, FakeProvider, LanguageModel
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession
from opportune.testing import make_token, make_user, signed_in_client
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, kill_process, wait_until_ended

REQUEST_BOOK = Done(tool_calls=(ToolCall("c1", "find_book", '{"title": "Dune"}'),))
gate = asyncio.Event()


async def find_book(user: CurrentUser, title: str) -> str:
    """Looking for the book."""
    await gate.wait()
    return f"{title} is <there>, {user.email}."


async def lend_book(session: WriteSession, title: str) -> str:
    """Lend a book."""
    return title


router = APIRouter()


@router.post("")
async def ask(user: CurrentUser, session: WriteSession, answers: Answers) -> int:
    return (await answers.ask(session, "Is it there?", owner_id=user.id, tools=True)).id


async def find_answer(manager: AnswerManager, answer_id: int, owner: User) -> Answer:
    answer = await manager.find(answer_id, owner.id)
    assert answer
    return answer


def restart_script(librarian: FakeProvider) -> None:
    librarian.script, librarian.next_scripts = ["It is there."], []
    librarian.offered.clear()


def offered_tools(librarian: FakeProvider) -> set[str]:
    return {name for names in librarian.offered for name in names}


@pytest.fixture
async def owner(app: FastAPI) -> User:
    return await make_user(app.state.database)


@pytest.fixture
async def librarian(app: FastAPI) -> AsyncIterator[FakeProvider]:
    """Requests a book, then answers. Its site has two tools, one of which changes data."""
    global gate  # noqa: PLW0603 - a tool is a function of a module
    gate = asyncio.Event()
    provider = FakeProvider.in_turn(["One moment. ", REQUEST_BOOK], ["It is **there**."])
    manager = AnswerManager(
        app.state.database, LanguageModel(lambda: provider), lambda: Toolbox(app, [find_book, lend_book])
    )
    app.state.answers = manager
    yield provider
    await manager.close()


async def test_page_shows_tool_calls_during_and_after(app: FastAPI, owner: User, librarian: FakeProvider) -> None:
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", owner_id=owner.id, tools=True)
    page = f"/answers/{answer.id}"
    async with signed_in_client(app, owner) as client, asyncio.timeout(TIMEOUT_SECONDS):
        while "Looking for the book" not in (html := (await client.get(page)).text):
            await asyncio.sleep(0)
        assert "&lt;there&gt;" not in html
        gate.set()
        streamed = (await client.get(f"/api/v1{page}/stream")).text
        finished_page = (await client.get(page)).text
    assert '"name":"find_book"' in streamed.replace(": ", ":")
    assert f"Dune is &lt;there&gt;, {owner.email}." in finished_page
    assert "It is <strong>there</strong>." in finished_page
    result = librarian.received[1][-1]
    assert (result.role, result.content) == ("tool", f"Dune is <there>, {owner.email}.")


async def test_stream_sends_each_tool_call(app: FastAPI, owner: User, librarian: FakeProvider) -> None:
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", owner_id=owner.id, tools=True)
    async with signed_in_client(app, owner) as client, asyncio.timeout(TIMEOUT_SECONDS):
        streaming = asyncio.create_task(client.get(f"/answers/{answer.id}/stream"))
        while not manager._tasks[answer.id].live.tool_runs:
            await asyncio.sleep(0)
        gate.set()
        streamed = (await streaming).text
    assert f'hx-target="#answer-{answer.id}-tools"' in streamed
    assert "event: done" in streamed


async def test_tool_run_is_shown_once_it_is_stored(
    app: FastAPI, owner: User, librarian: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = asyncio.Event()

    async def fail(*_: object) -> bool:
        failed.set()
        raise OperationalError("update", {}, Exception("away"))

    monkeypatch.setattr(store, "save_tool_runs", fail)
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", owner_id=owner.id, tools=True)
    await asyncio.wait_for(failed.wait(), TIMEOUT_SECONDS)
    assert (await manager.shown(await find_answer(manager, answer.id, owner))).answer.tool_runs == []
    gate.set()
    stored = await wait_until_ended(manager, answer)
    assert [run["result"] for run in stored.tool_runs] == [f"Dune is <there>, {owner.email}."]


async def test_changing_tools_need_an_owner(app: FastAPI, librarian: FakeProvider) -> None:
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", tools=True)
    gate.set()
    await wait_until_ended(manager, answer)
    assert offered_tools(librarian) == {"find_book"}


@pytest.mark.parametrize(("scopes", "tools"), [("write read", {"find_book", "lend_book"}), ("write", {"lend_book"})])
async def test_token_scopes_limit_the_tools(
    app: FastAPI, client: AsyncClient, owner: User, librarian: FakeProvider, scopes: str, tools: set[str]
) -> None:
    manager: AnswerManager = app.state.answers
    app.include_router(router, prefix="/api/v1/questions")
    gate.set()
    token = await make_token(app.state.database, owner, scopes)
    response = await client.post("/api/v1/questions", headers={"Authorization": f"Bearer {token}"})
    stored = await wait_until_ended(manager, await find_answer(manager, response.json(), owner))
    assert offered_tools(librarian) == tools
    assert [run["is_error"] for run in stored.tool_runs] == ["find_book" not in tools]


@pytest.mark.parametrize(
    ("first_scopes", "later_scopes", "tools"),
    [("*", "write", {"lend_book"}), ("write", "*", {"lend_book"}), ("write", "read", set())],
)
async def test_retry_keeps_the_limited_scopes(
    app: FastAPI, owner: User, librarian: FakeProvider, first_scopes: str, later_scopes: str, tools: set[str]
) -> None:
    manager: AnswerManager = app.state.answers
    librarian.script = [asyncio.Event()]
    async with manager.database.writer() as session:
        answer = await manager.within(first_scopes).ask(session, "Is it there?", owner_id=owner.id, tools=True)
    await manager.stop(answer)
    restart_script(librarian)
    for continue_answer in (manager.within(later_scopes).retry, manager.within(later_scopes).resume):
        async with manager.database.writer() as session:
            continued = await continue_answer(session, await find_answer(manager, answer.id, owner))
        assert (await wait_until_ended(manager, continued)).status == "done"
    assert offered_tools(librarian) == tools


async def test_takeover_keeps_the_limited_tools(app: FastAPI, owner: User, librarian: FakeProvider) -> None:
    manager: AnswerManager = app.state.answers
    librarian.script = [asyncio.Event()]
    async with manager.database.writer() as session:
        answer = await manager.within("write").ask(session, "Is it there?", owner_id=owner.id, tools=True)
    await kill_process(manager, manager.database, answer)
    restart_script(librarian)
    await manager.take_over([await find_answer(manager, answer.id, owner)])
    stored = await wait_until_ended(manager, answer)
    assert (stored.status, stored.takeovers) == ("done", 1)
    assert offered_tools(librarian) == {"lend_book"}


async def test_answer_without_tools_calls_none(app: FastAPI, owner: User, librarian: FakeProvider) -> None:
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", owner_id=owner.id)
    stored = await wait_until_ended(manager, answer)
    assert (stored.text, stored.tool_runs) == ("One moment. ", [])


async def test_implausible_tokens_of_each_round_are_estimated(
    app: FastAPI, owner: User, librarian: FakeProvider
) -> None:
    calls = Done(10**9, 10**9, tool_calls=REQUEST_BOOK.tool_calls)
    gate.set()
    librarian.script, librarian.next_scripts = [calls], [[calls], [calls], ["It is there.", Done(10**9, 10**9)]]
    manager: AnswerManager = app.state.answers
    async with manager.database.writer() as session:
        answer = await manager.ask(session, "Is it there?", owner_id=owner.id, tools=True)
    answer = await wait_until_ended(manager, answer)
    assert (answer.status, answer.text) == ("done", "It is there.")
    assert answer.usage_estimated
    assert answer.prompt_tokens + answer.completion_tokens < 10_000
