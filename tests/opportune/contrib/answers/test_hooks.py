"""Hooks at the end of answers."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers import Answer, AnswerManager, after_answer
from opportune.contrib.answers.personal import read
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db.hooks.registry import temporary_hooks
from opportune.feature import Person
from opportune.jobs import JobContext, defer, job
from opportune.testing import RecordedJobs
from tests.opportune.contrib.answers.questions import ask, ask_and_wait, kill_process, load_answer, wait_until_saved


@job("books.note")
async def note(context: JobContext, answer_id: int, status: str) -> None: ...


@pytest.fixture(autouse=True)
def _hook() -> Iterator[None]:
    with temporary_hooks():

        @after_answer("books")
        async def queue_note(session: AsyncSession, answer: Answer) -> None:
            defer(session, note(answer.id, answer.status))

        yield


def arguments(jobs: RecordedJobs) -> list[tuple[object, ...]]:
    return [call.arguments for call in jobs.calls]


async def test_hook_queues_job_for_topic(manager: AnswerManager, owner_id: int, recorded_jobs: RecordedJobs) -> None:
    answer = await ask_and_wait(manager, owner_id, topic="books:1")
    await ask_and_wait(manager, owner_id, topic="films:1")
    assert arguments(recorded_jobs) == [(answer.id, "done")]


async def test_hook_runs_for_interrupted_answers(
    manager: AnswerManager, owner_id: int, model: FakeProvider, recorded_jobs: RecordedJobs
) -> None:
    model.script = ["Last words", asyncio.Event()]
    answer = await ask(manager, owner_id, topic="books:1")
    await wait_until_saved(manager, answer, "Last words")
    await kill_process(manager, answer)
    await load_answer(create_manager(manager.database, LanguageModel(lambda: None)), answer)
    assert arguments(recorded_jobs) == [(answer.id, "interrupted")]


@pytest.mark.database("sqlite", "postgresql")
async def test_failing_hook_keeps_the_answer(
    manager: AnswerManager, owner_id: int, recorded_jobs: RecordedJobs, caplog: pytest.LogCaptureFixture
) -> None:
    @after_answer("books")
    async def fail(session: AsyncSession, answer: Answer) -> None:
        raise ZeroDivisionError

    stored = await ask_and_wait(manager, owner_id, topic="books:1")
    assert (stored.status, stored.text) == ("done", "An answer.")
    assert "ZeroDivisionError" in caplog.text


async def test_export_contains_answers(manager: AnswerManager, owner_id: int, recorded_jobs: RecordedJobs) -> None:
    await ask_and_wait(manager, owner_id)
    async with manager.database.reader() as session:
        (exported,) = (await read(session, Person(owner_id, "")))["answers"]
        assert (await read(session, Person(owner_id + 1, "")))["answers"] == []
    assert (exported["question"], exported["text"]) == ("Why?", "An answer.")
