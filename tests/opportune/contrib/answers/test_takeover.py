"""Answers that survive their process: handed over by a stopping one, taken over from a dead one."""

import asyncio
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import OperationalError

from opportune.config.settings import Settings
from opportune.contrib import llm
from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus, lifespan
from opportune.contrib.answers.engine import engine, follower, store
from opportune.contrib.answers.engine.engine import MAX_TAKEOVERS
from opportune.contrib.answers.lifespan import grace_seconds
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db import Database, DatabaseUrl, utc_now
from opportune.features import accounts, answers, jobs
from opportune.features import llm as llm_feature
from opportune.jobs import worker_lock
from opportune.jobs.worker_lock import WorkerLock
from opportune.server import shutdown
from opportune.testing.app import create_test_app
from tests.opportune.contrib.answers import questions
from tests.opportune.contrib.answers.processes import hold_lock
from tests.opportune.forked import PROCESSES
from tests.opportune.waiting import wait_until

STORY = "Once upon a time, 🐍 there was an answer.\n\n- It was long.\n- Its process was not.\n"


class Storyteller(FakeProvider):
    """Tells the story from the end of the prompt to `pause`, and continues after an event."""

    continues = True

    def __init__(self, pause: int = len(STORY)) -> None:
        super().__init__()
        self.pause = pause
        self.may_continue = asyncio.Event()

    async def stream(self, messages: Sequence[llm.Message], **_: Any) -> AsyncGenerator[llm.Chunk, None]:
        self.received.append([*messages])
        text = messages[-1].content if messages[-1].role == "assistant" else ""
        assert STORY.startswith(text)
        if len(text) < self.pause:
            yield STORY[len(text) : self.pause]
        if self.pause < len(STORY):
            await self.may_continue.wait()
        yield STORY[max(self.pause, len(text)) :]
        yield llm.Done(prompt_tokens=1, completion_tokens=1)


@pytest.fixture
def model() -> Storyteller:
    return Storyteller(pause=20)


@pytest.fixture
async def sibling(database: Database) -> AsyncIterator[AnswerManager]:
    """Another process with a model that tells the complete story."""
    sibling = create_manager(database, LanguageModel(Storyteller))
    yield sibling
    await sibling.engine.close()


async def start_story(manager: AnswerManager, owner_id: int) -> Answer:
    answer = await questions.ask(manager, owner_id)
    await questions.wait_until_saved(manager, answer, STORY[:20])
    return answer


async def test_stopping_process_hands_over(manager: AnswerManager, sibling: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    async with sibling.view(answer) as live, asyncio.timeout(questions.TIMEOUT_SECONDS):
        growth = live.follow(0)
        assert (await anext(growth)).text == STORY[:20]
        await manager.engine.close()
        async for _ in growth:
            pass
    assert (live.answer.status, live.answer.text) == (AnswerStatus.DONE, STORY)
    assert live.answer.takeovers == 1
    assert live.answer.usage_estimated, "token counts of the first process are unknown"


async def test_starting_process_takes_over(
    manager: AnswerManager, sibling: AnswerManager, owner_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    with monkeypatch.context() as readonly_site:
        readonly_site.setattr(DatabaseUrl, "readonly_notice", "The database is read-only.")
        assert (await questions.load_answer(sibling, answer)).takeovers == 0
    sibling.engine.open()
    await questions.wait_until_saved(manager, answer, STORY)
    assert (await questions.load_answer(sibling, answer)).takeovers == 1


async def test_call_follows_the_stored_text(manager: AnswerManager, sibling: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    run = {"id": "1", "name": "look", "arguments": "", "status": "", "result": "", "round": 0, "at": 21}
    await questions.set_values(manager, answer, tool_runs=[run])
    await questions.load_answer(sibling, answer)
    assert (await questions.wait_until_ended(sibling, answer)).tool_runs[0]["at"] == 20


async def test_complete_text_is_not_continued(manager: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await manager.engine.close()
    model = FakeProvider(llm.LlmError("empty", "The model gave an empty answer."))
    model.continues = True
    sibling = create_manager(manager.database, LanguageModel(lambda: model))
    stored = await questions.wait_until_ended(sibling, answer)
    assert (stored.status, stored.text, stored.error) == (AnswerStatus.DONE, STORY[:20], "")
    await sibling.engine.close()


@pytest.mark.parametrize("is_stored", [None, True, False])
async def test_unsaved_text_is_handed_over(
    database: Database, sibling: AnswerManager, owner_id: int, monkeypatch: pytest.MonkeyPatch, is_stored: bool | None
) -> None:
    """Also after a failed save, whose text may be stored nevertheless."""
    failed = asyncio.Event()

    async def save(*arguments: Any, **options: Any) -> None:
        if is_stored:
            await original(*arguments, **options)
        failed.set()
        raise OperationalError("commit", {}, Exception("connection lost"))

    original = store.save_deltas
    may_continue = asyncio.Event()
    model = FakeProvider(STORY[:10], may_continue, STORY[10:20], asyncio.Event())
    manager = create_manager(database, LanguageModel(lambda: model))
    if is_stored is not None:
        monkeypatch.setattr(store, "save_deltas", save)
    monkeypatch.setattr("opportune.contrib.answers.engine.flusher.FLUSH_INTERVAL_SECONDS", 60)
    answer = await questions.ask(manager, owner_id)
    if is_stored is None:
        await questions.wait_until_saved(manager, answer, STORY[:10])
    else:
        await asyncio.wait_for(failed.wait(), questions.TIMEOUT_SECONDS)
    may_continue.set()
    await wait_until(lambda: manager.engine.tasks[answer.id].unsaved.text == STORY[:20])
    await manager.engine.close()
    await questions.wait_until_saved(manager, answer, STORY[:20])
    assert (await questions.load_answer(sibling, answer)).is_running
    assert (await questions.wait_until_ended(sibling, answer)).text == STORY


async def test_model_that_cannot_continue_is_interrupted(manager: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await manager.engine.close()
    sibling = create_manager(manager.database, LanguageModel(lambda: FakeProvider("Else.")))
    loaded = await questions.load_answer(sibling, answer)
    assert (loaded.status, loaded.text, loaded.can_continue) == (AnswerStatus.INTERRUPTED, STORY[:20], True)


async def test_streams_close_before_the_answers_end(
    manager: AnswerManager, owner_id: int, model: Storyteller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "VIEWERS_TIMEOUT_SECONDS", 0)
    answer = await start_story(manager, owner_id)
    async with manager.view(answer) as live, asyncio.timeout(questions.TIMEOUT_SECONDS):
        closing = asyncio.create_task(manager.engine.close(grace_seconds=questions.TIMEOUT_SECONDS))
        await questions.read_to_end(live)
        assert not live.ended
        model.may_continue.set()
        await closing
    loaded = await questions.load_answer(manager, answer)
    assert (loaded.status, loaded.text, loaded.takeovers) == (AnswerStatus.DONE, STORY, 0)


@pytest.mark.database("sqlite", "postgresql")
async def test_only_one_process_takes_over(manager: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    models = [Storyteller() for _ in range(4)]
    siblings = [create_manager(manager.database, LanguageModel(lambda model=model: model)) for model in models]  # type: ignore[misc]
    await asyncio.gather(*(questions.load_answer(sibling, answer) for sibling in siblings))
    assert [(await questions.wait_until_ended(sibling, answer)).text for sibling in siblings] == [STORY] * 4
    assert sum(len(model.received) for model in models) == 1


@pytest.mark.database("postgresql")
async def test_wrong_clock_does_not_decide_about_leases(
    manager: AnswerManager, sibling: AnswerManager, owner_id: int, set_wrong_clock: Callable[[], None]
) -> None:
    answer = await start_story(manager, owner_id)
    set_wrong_clock()
    assert (await questions.load_answer(sibling, answer)).takeovers == 0
    await questions.kill_process(manager, answer)
    await questions.set_values(manager, answer, lease_until=datetime.now(UTC) - timedelta(seconds=1))
    await questions.load_answer(sibling, answer)
    await questions.wait_until_saved(sibling, answer, STORY)


async def test_answer_has_a_maximum_of_takeovers(manager: AnswerManager, sibling: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    await questions.set_values(manager, answer, takeovers=MAX_TAKEOVERS)
    assert (await questions.load_answer(sibling, answer)).status == AnswerStatus.INTERRUPTED


async def test_stopped_answer_is_not_taken_over(manager: AnswerManager, sibling: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    await sibling.stop(answer)
    loaded = await questions.load_answer(sibling, answer)
    assert (loaded.status, loaded.text) == (AnswerStatus.STOPPED, STORY[:20])


async def test_living_process_keeps_answers_after_lease(
    manager: AnswerManager, sibling: AnswerManager, owner_id: int, model: Storyteller
) -> None:
    manager.engine.lock.acquire()
    answer = await start_story(manager, owner_id)
    await questions.set_values(manager, answer, lease_until=utc_now() - timedelta(minutes=1))
    assert (await questions.load_answer(sibling, answer)).is_running
    model.may_continue.set()
    assert (await questions.wait_until_ended(manager, answer)).takeovers == 0


async def test_outage_of_the_watch_is_logged_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = asyncio.Semaphore(0)

    async def fail(*_arguments: object) -> None:
        attempts.release()
        raise OperationalError("", {}, Exception("no such table"))

    monkeypatch.setattr(follower, "WATCH_INTERVAL_SECONDS", 0)
    monkeypatch.setattr(store, "read_running_answers", fail)
    watching = create_manager(database, LanguageModel(lambda: None))
    watching.engine.open()
    async with asyncio.timeout(questions.TIMEOUT_SECONDS):
        for _ in range(3):
            await attempts.acquire()
    await watching.engine.close()
    assert caplog.text.count("answers of other processes cannot be watched") == 1


async def test_late_worker_stores_the_whole_answer(manager: AnswerManager, owner_id: int, model: Storyteller) -> None:
    answer = await start_story(manager, owner_id)
    live = manager.engine.tasks[answer.id].live
    await questions.set_values(manager, answer, status=AnswerStatus.INTERRUPTED, text=STORY[:20], error="Stopped.")
    model.may_continue.set()
    await questions.read_to_end(live)
    loaded = await questions.load_answer(manager, answer)
    assert (loaded.status, loaded.text, loaded.error) == (AnswerStatus.DONE, STORY, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
async def test_dead_process_loses_its_lock(manager: AnswerManager, owner_id: int, sibling: AnswerManager) -> None:
    address = str(manager.database.url.sync_url)
    parent_end, child_end = PROCESSES.Pipe()
    process = PROCESSES.Process(target=hold_lock, args=(address, "other", child_end))
    process.start()
    assert await asyncio.to_thread(parent_end.poll, questions.TIMEOUT_SECONDS), "the process holds the lock"
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    await questions.set_values(manager, answer, worker="other", lease_until=utc_now() + timedelta(minutes=1))
    assert WorkerLock(address, "").is_dead("other") is False
    assert (await questions.load_answer(sibling, answer)).takeovers == 0
    process.kill()
    await asyncio.to_thread(process.join, questions.TIMEOUT_SECONDS)
    stored = await questions.wait_until_ended(sibling, answer)
    assert (stored.text, stored.takeovers) == (STORY, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_released_lock_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    first, second = WorkerLock("sqlite:///a.db", "first"), WorkerLock("sqlite:///a.db", "second")
    first.acquire()
    second.acquire()
    (folder,) = tmp_path.iterdir()
    (folder / "killed").touch()
    first.release()
    assert [path.name for path in folder.iterdir()] == ["second"]
    second.release()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(worker_lock, "_open_and_lock", Mock(side_effect=OSError("Too many open files")))
    first.acquire()  # the leases decide instead


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks")
def test_lock_survives_the_removal_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker removes the folder between its creation and the lock."""
    locked, removed = worker_lock._open_and_lock, list[Path]()

    def remove_folder(path: Path, flags: int = 0) -> int | None:
        descriptor = locked(path, flags)
        if not removed:
            removed.append(path)
            path.unlink()
            path.parent.rmdir()
        return descriptor

    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(worker_lock, "_open_and_lock", remove_folder)
    lock = WorkerLock("sqlite:///a.db", "second")
    lock.acquire()
    assert WorkerLock("sqlite:///a.db", "first").is_dead("second") is False
    lock.release()


@pytest.mark.parametrize(
    ("setting", "host", "seconds"), [(None, "RENDER", 28), (None, "NO_HOST", 8), (1, "NO_HOST", 1)]
)
def test_grace_is_two_seconds_below_the_host_limit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, setting: float | None, host: str, seconds: float
) -> None:
    monkeypatch.setenv(host, "yes")
    changes = {"answer_grace_seconds": setting, "environment": "production"}
    assert grace_seconds(settings.model_copy(update=changes)) == seconds


@pytest.mark.parametrize(("next_serves", "text"), [(True, "So it is."), (False, "So")])
async def test_replaced_process_finishes_its_answers(
    settings: Settings, database: Database, owner_id: int, monkeypatch: pytest.MonkeyPatch, next_serves: bool, text: str
) -> None:
    """The model continues only after the viewers were sent to the new version."""
    monkeypatch.setattr(engine, "VIEWERS_TIMEOUT_SECONDS", 0)
    monkeypatch.setattr(shutdown, "next_version_serves", next_version := threading.Event())
    monkeypatch.setattr(lifespan, "next_version_serves", next_version)
    may_continue = asyncio.Event()
    app = create_test_app(settings, [accounts, jobs, llm_feature, answers])

    async def watch(answer: Answer) -> None:
        async with app.state.answers.view(answer) as live:
            await questions.read_to_end(live)
        may_continue.set()

    async with app.router.lifespan_context(app):
        app.state.llm.provider = FakeProvider("So", may_continue, " it is.")
        answer = await questions.ask(app.state.answers, owner_id)
        viewer = asyncio.create_task(watch(answer))
        await questions.wait_until_saved(app.state.answers, answer, "So")
        if next_serves:
            next_version.set()
    await viewer
    progress = await questions.read_progress(app.state.answers, answer)
    await app.state.database.dispose()
    assert (progress.text, progress.answer.is_running) == (text, not next_serves)


async def test_next_question_ends_no_answer(manager: AnswerManager, sibling: AnswerManager, owner_id: int) -> None:
    answer = await start_story(manager, owner_id)
    await questions.kill_process(manager, answer)
    await questions.ask(sibling, owner_id)
    assert (await questions.wait_until_ended(sibling, answer)).text == STORY
