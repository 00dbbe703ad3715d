"""Answers of models that call tools."""

import asyncio

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient

from opportune.accounts import CurrentUser, User
from opportune.contrib.answers import AnswerManager, Answers
from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox
from opportune.db import WriteSession
from opportune.testing import make_token
from tests.opportune.contrib.answers import questions
from tests.opportune.contrib.answers.waiting_answers import StartManager

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
async def ask_with_tools(user: CurrentUser, session: WriteSession, answers: Answers) -> int:
    return (await answers.ask(session, "Is it there?", owner_id=user.id, tools=True)).id


def restart_script(librarian: FakeProvider) -> None:
    librarian.script, librarian.next_scripts = ["It is there."], []
    librarian.offered.clear()


def offered_tools(librarian: FakeProvider) -> set[str]:
    return {name for names in librarian.offered for name in names}


@pytest.fixture
def librarian() -> FakeProvider:
    return FakeProvider.in_turn(["One moment. ", REQUEST_BOOK], ["It is **there**."])


@pytest.fixture
def manager(app: FastAPI, librarian: FakeProvider, start_manager: StartManager) -> AnswerManager:
    global gate  # noqa: PLW0603 - a tool is a function of a module
    gate = asyncio.Event()
    return start_manager(librarian, Toolbox(app, [find_book, lend_book]))


async def test_page_and_streams_show_tool_calls(
    user_client: AsyncClient, manager: AnswerManager, user: User, librarian: FakeProvider
) -> None:
    answer = await questions.ask(manager, user.id, "Is it there?", tools=True)
    page = f"/answers/{answer.id}"
    async with asyncio.timeout(questions.TIMEOUT_SECONDS):
        while "Looking for the book" not in (html := (await user_client.get(page)).text):
            await asyncio.sleep(0)
        assert "&lt;there&gt;" not in html
        streams = [asyncio.create_task(user_client.get(f"{prefix}{page}/stream")) for prefix in ("", "/api/v1")]
        await asyncio.sleep(0)
        gate.set()
        html_stream, json_stream = [(await stream).text for stream in streams]
        finished_page = (await user_client.get(page)).text
    assert f'hx-target="#answer-{answer.id}-tools"' in html_stream
    assert "event: done" in html_stream
    assert '"name":"find_book"' in json_stream.replace(": ", ":")
    assert f"Dune is &lt;there&gt;, {user.email}." in finished_page
    assert "It is <strong>there</strong>." in finished_page
    result = librarian.received[1][-1]
    assert (result.role, result.content) == ("tool", f"Dune is <there>, {user.email}.")


async def test_changing_tools_need_an_owner(manager: AnswerManager, librarian: FakeProvider) -> None:
    gate.set()
    await questions.ask_and_wait(manager, None, tools=True)
    assert offered_tools(librarian) == {"find_book"}


@pytest.mark.parametrize(("scopes", "tools"), [("write read", {"find_book", "lend_book"}), ("write", {"lend_book"})])
async def test_token_scopes_limit_the_tools(
    app: FastAPI,
    client: AsyncClient,
    manager: AnswerManager,
    user: User,
    librarian: FakeProvider,
    scopes: str,
    tools: set[str],
) -> None:
    app.include_router(router, prefix="/api/v1/questions")
    gate.set()
    token = await make_token(app.state.database, user, scopes)
    response = await client.post("/api/v1/questions", headers={"Authorization": f"Bearer {token}"})
    stored = await questions.wait_until_ended(manager, await questions.find(manager, response.json()))
    assert offered_tools(librarian) == tools
    assert [run["is_error"] for run in stored.tool_runs] == ["find_book" not in tools]


@pytest.mark.parametrize(
    ("first_scopes", "later_scopes", "tools"),
    [("*", "write", {"lend_book"}), ("write", "*", {"lend_book"}), ("write", "read", set())],
)
async def test_retry_keeps_the_limited_scopes(
    manager: AnswerManager, user: User, librarian: FakeProvider, first_scopes: str, later_scopes: str, tools: set[str]
) -> None:
    librarian.script = [asyncio.Event()]
    answer = await questions.ask(manager.within(first_scopes), user.id, tools=True)
    await manager.stop(answer)
    restart_script(librarian)
    later = manager.within(later_scopes)
    retried = await questions.retry(later, await questions.find(manager, answer.id))
    assert (await questions.wait_until_ended(manager, retried)).status == "done"
    assert (await questions.resume(later, answer)).status == "done"
    assert offered_tools(librarian) == tools


async def test_takeover_keeps_the_limited_tools(manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    librarian.script = [asyncio.Event()]
    answer = await questions.ask(manager.within("write"), user.id, tools=True)
    await questions.kill_process(manager, answer)
    restart_script(librarian)
    await manager.engine.take_over([await questions.find(manager, answer.id)])
    stored = await questions.wait_until_ended(manager, answer)
    assert (stored.status, stored.takeovers) == ("done", 1)
    assert offered_tools(librarian) == {"lend_book"}


async def test_missing_tool_is_logged(manager: AnswerManager, user: User, caplog: pytest.LogCaptureFixture) -> None:
    await questions.ask(manager, user.id, tools=["lend_bok", "find_book:1"])
    (line,) = [line for line in caplog.messages if "tool" in line]
    assert line == "There is no tool lend_bok for answers. Did you mean lend_book?"
