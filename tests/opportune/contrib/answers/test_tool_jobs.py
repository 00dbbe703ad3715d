"""Tools that run as jobs while their answer waits, also after restarts."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import CurrentUser, User
from opportune.contrib.answers import AnswerManager
from opportune.contrib.answers.engine.tool_jobs import CANCELLED, LOST, WORKER_DIED, ToolJobs
from opportune.contrib.answers.engine.tool_runs import STOPPED_BY_USER
from opportune.contrib.llm import Done, FakeProvider, Message, ToolCall
from opportune.contrib.tools import Source, Toolbox, tool
from opportune.contrib.tools.results import TOOL_FAILED
from opportune.contrib.tools.site_tools import site_for_tools
from opportune.db import WriteSession
from opportune.errors import OperatorError
from opportune.jobs import JobContext
from opportune.jobs.models import Job, JobState
from opportune.testing import RecordedJobs
from tests.opportune.contrib.answers import waiting_answers
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, find, resume, wait_until_ended
from tests.opportune.stored_rows import delete_row, set_all

READ = ToolCall("call_0", "read_shelf", '{"shelf": "A"}')
FIND = ToolCall("call_1", "find_book", "{}")

written: list[str] = []
paid: list[str] = []
begun, may_end = asyncio.Event(), asyncio.Event()
fault: list[Exception] = []


async def read_shelf(run: JobContext, user: CurrentUser, shelf: str) -> Source:
    """Read a shelf."""
    assert await run.step(pay, shelf) == "Three books"
    await run.write(write, f"{shelf} begun")
    await run.progress(1, 3, "Dune")
    begun.set()
    await may_end.wait()
    for error in fault:
        raise error
    await run.write(write, f"{shelf} read")
    return Source(title=f"Shelf {shelf}", url="/shelves/1", text=f"Three books, {user.email}.")


async def pay(shelf: str) -> str:
    """Return the answer of a model."""
    paid.append(shelf)
    return "Three books"


async def write(_session: AsyncSession, text: str) -> None:
    written.append(text)


async def find_book() -> str:
    """Find a book."""
    return "Third shelf."


@pytest.fixture
def librarian() -> FakeProvider:
    return FakeProvider.in_turn(["One moment. ", Done(10, 5, tool_calls=(READ, FIND))], ["It has 3 [1].", Done(20, 7)])


@pytest.fixture(autouse=True)
def tools(app: FastAPI) -> Toolbox:
    global begun, may_end
    begun, may_end = asyncio.Event(), asyncio.Event()
    may_end.set()
    written.clear()
    paid.clear()
    fault.clear()
    return Toolbox(app, [tool(read_shelf, asks=False), find_book])


@pytest.fixture
def manager(librarian: FakeProvider, tools: Toolbox, start_manager: waiting_answers.StartManager) -> AnswerManager:
    return start_manager(librarian, tools)


async def start_working(app: FastAPI) -> asyncio.Task[None]:
    working = asyncio.create_task(app.state.jobs.worker.drain())
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await begun.wait()
    return working


async def test_result_of_a_job_goes_back_to_the_model(
    app: FastAPI, user_client: AsyncClient, manager: AnswerManager, user: User, librarian: FakeProvider
) -> None:
    may_end.clear()
    answer = await waiting_answers.ask_until_waiting(manager, user)
    assert (answer.status, answer.worker) == ("waiting", "job")
    working = await start_working(app)
    page = (await user_client.get(f"/answers/{answer.id}")).text
    runs = (await user_client.get(f"/api/v1/answers/{answer.id}")).json()["tool_runs"]
    may_end.set()
    await asyncio.wait_for(working, TIMEOUT_SECONDS)
    assert "1 of 3: Dune" in page
    assert 'http-equiv="refresh"' in page, "without JavaScript, the page shows the progress"
    assert '<progress class="progress w-100" max="3" value="1"' in page
    assert (runs[0]["result_from"], runs[0]["progress"]["done"], runs[0]["result"]) == ("job", 1, None)
    assert runs[1]["result"] == "Third shelf.", "other calls of the round do not wait"
    ended = await waiting_answers.end(manager, answer)
    assert (ended.status, ended.text) == ("done", "One moment. It has 3 [1].")
    assert ended.sources == [{"title": "Shelf A", "url": "/shelves/1"}]
    results = [turn.content for turn in librarian.received[1] if turn.role == "tool"]
    assert f"Three books, {user.email}." in results[0]
    assert (results[1], written) == ("Third shelf.", ["A begun", "A read"])
    assert (ended.prompt_tokens, ended.completion_tokens) == (30, 12)


@pytest.mark.database("sqlite", "postgresql")
async def test_answer_goes_on_after_site_and_worker_restart(
    app: FastAPI,
    manager: AnswerManager,
    user: User,
    librarian: FakeProvider,
    tools: Toolbox,
    start_manager: waiting_answers.StartManager,
) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await manager.engine.close()
    worker = ToolJobs(app.state.database, lambda: Toolbox(site_for_tools(app.state.services), [*tools.tools.values()]))
    app.state.services._objects["tool_jobs"] = worker
    await app.state.jobs.worker.drain()
    restarted = [start_manager(librarian, tools) for _ in range(3)]
    await asyncio.gather(*(process.engine.continue_released() for process in restarted))
    ended = await wait_until_ended(restarted[0], await find(restarted[0], answer.id))
    assert (ended.status, ended.text) == ("done", "One moment. It has 3 [1].")
    assert len(librarian.received) == 2, "one of several processes continues the answer"


@pytest.mark.database("sqlite", "postgresql")
async def test_job_takes_effect_once(app: FastAPI, manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    may_end.clear()
    answer = await waiting_answers.ask_until_waiting(manager, user)
    working = await start_working(app)
    working.cancel()
    await asyncio.wait([working])
    may_end.set()
    await app.state.jobs.worker.drain()
    assert (written, paid) == (["A begun", "A read"], ["A"])
    await set_all(manager.database, Job, state=JobState.WAITING)
    await app.state.jobs.worker.drain()
    assert written == ["A begun", "A read"], "a job of a call with a result does nothing"
    assert (await waiting_answers.end(manager, answer)).status == "done"


async def test_stop_ends_the_job(app: FastAPI, manager: AnswerManager, user: User, librarian: FakeProvider) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await manager.stop(answer)
    stopped = await find(manager, answer.id)
    assert (stopped.status, stopped.text) == ("stopped", "One moment. ")
    assert stopped.tool_runs[0]["result"] == STOPPED_BY_USER
    await app.state.jobs.worker.drain()
    assert not written
    assert (await resume(manager, stopped)).status == "done"
    assert librarian.received[1][-2] == Message("tool", STOPPED_BY_USER, tool_call_id="call_0")


async def test_deleted_answer_ends_its_job(manager: AnswerManager, user: User, recorded_jobs: RecordedJobs) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await delete_row(manager.database, answer)
    await recorded_jobs.work()
    assert not written


async def fail(_app: FastAPI, _tools: Toolbox) -> None:
    fault.append(ValueError("secret"))


async def take_too_long(_app: FastAPI, tools: Toolbox) -> None:
    tools.tools["read_shelf"] = tool(read_shelf, asks=False, max_seconds=0.05)
    may_end.clear()


async def remove_tool(app: FastAPI, _tools: Toolbox) -> None:
    app.state.tool_jobs.make_toolbox = lambda: Toolbox(app, [find_book])


async def kill_workers(app: FastAPI, _tools: Toolbox) -> None:
    await set_all(app.state.database, Job, attempt=3)


@pytest.mark.parametrize(
    ("break_job", "result"),
    [
        (fail, TOOL_FAILED),
        (take_too_long, "The tool took longer than 0 seconds."),
        (remove_tool, "There is no tool read_shelf. Available: find_book."),
        (kill_workers, WORKER_DIED),
    ],
)
async def test_failed_job_is_told_to_the_model(
    app: FastAPI,
    manager: AnswerManager,
    user: User,
    tools: Toolbox,
    break_job: Callable[[FastAPI, Toolbox], Awaitable[None]],
    result: str,
) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await break_job(app, tools)
    await app.state.jobs.worker.drain()
    ended = await waiting_answers.end(manager, answer)
    assert (ended.status, ended.tool_runs[0]["result"], ended.tool_runs[0]["is_error"]) == ("done", result, True)
    assert "A read" not in written


async def test_job_cancelled_by_the_operator_ends(app: FastAPI, manager: AnswerManager, user: User) -> None:
    may_end.clear()
    answer = await waiting_answers.ask_until_waiting(manager, user)
    working = await start_working(app)
    await waiting_answers.cancel_job(app)
    may_end.set()
    await asyncio.wait_for(working, TIMEOUT_SECONDS)
    assert (await waiting_answers.end(manager, answer)).tool_runs[0]["result"] == CANCELLED


async def test_job_cancelled_before_it_ran_ends(app: FastAPI, manager: AnswerManager, user: User) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await waiting_answers.cancel_job(app)
    await manager.refresh([answer])
    assert (await waiting_answers.end(manager, answer)).tool_runs[0]["result"] == LOST


async def test_deactivated_user_ends_job_and_answer(
    manager: AnswerManager, user: User, recorded_jobs: RecordedJobs, librarian: FakeProvider
) -> None:
    answer = await waiting_answers.ask_until_waiting(manager, user)
    await set_all(manager.database, User, is_active=False)
    await recorded_jobs.work()
    ended = await waiting_answers.end(manager, answer)
    assert (ended.status, ended.error_code, ended.text) == ("failed", "inactive", "One moment. ")
    assert ended.error == "This account was deactivated, so the answer has ended here."
    assert (written, len(librarian.received)) == ([], 1)
    assert (ended.prompt_tokens, ended.completion_tokens) == (10, 5)


async def test_approval_comes_first(
    manager: AnswerManager, user: User, recorded_jobs: RecordedJobs, tools: Toolbox
) -> None:
    tools.tools["read_shelf"] = tool(read_shelf)
    answer = await waiting_answers.ask_until_waiting(manager, user)
    assert (answer.tool_runs[0]["approval"], recorded_jobs.names) == ("waiting", [])
    async with manager.database.writer() as session:
        await manager.approve(session, answer, 0)
    await waiting_answers.wait_for_tasks(manager)
    assert ((await find(manager, answer.id)).status, recorded_jobs.names) == ("waiting", ["answers.run_tool"])
    await recorded_jobs.work()
    assert ((await waiting_answers.end(manager, answer)).status, written) == ("done", ["A begun", "A read"])


async def test_job_writes_only_with_its_context(app: FastAPI) -> None:
    async def save_shelf(run: JobContext, session: WriteSession) -> str:
        """Save a shelf."""
        return run.id

    with pytest.raises(OperatorError, match=r"save_shelf takes a JobContext, so it runs again after a crash\."):
        Toolbox(app, [save_shelf]).require_valid_tools()
