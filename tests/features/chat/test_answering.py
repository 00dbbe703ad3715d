"""Questions, their answers and what becomes of both, on real databases and with a scripted model."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import InternalError, OperationalError
from sqlmodel import col

from app.core import llm
from app.core.db.database import Database
from app.core.db.model import utc_now
from app.core.llm.scripted import Scripted
from app.features.chat import answering, record, writing
from app.features.chat.events import html_events
from app.features.chat.live import LiveAnswer
from app.features.chat.models import AnswerChunk, Message, Role, Status
from app.features.chat.runs import Runs
from app.features.chat.schemas import Ask
from app.features.chat.service import MOST_RUNNING, AnswerRunningError, Chat, TooManyAnswersError

BRIEFLY = 10
"""Seconds that a test waits for what must happen, before it fails."""


async def shown(runs: Runs, owner_id: int, conversation_id: int) -> list[Message]:
    found = await answering.thread(runs, owner_id, conversation_id)
    assert found
    return found.messages


async def ended(runs: Runs, answer: Message) -> Message:
    """The answer once it has ended, as a viewer sees it."""
    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        async for _ in live.growth(0):
            pass
    return live.message


async def begin(runs: Runs, owner_id: int, question: str = "Why?") -> tuple[int, Message]:
    asked, answer = await answering.ask(runs, owner_id, None, Ask(content=question))
    return asked.conversation_id, answer


async def until_saved(database: Database, message_id: int, text: str) -> None:
    async with asyncio.timeout(BRIEFLY):
        while (progress := await record.read(database, message_id)) and progress.text != text:
            await asyncio.sleep(0.01)


async def test_a_question_and_its_whole_answer_are_stored(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["Because ", "it is.", llm.Finish(prompt_tokens=12, completion_tokens=3)]
    conversation_id, answer = await begin(runs, owner_id)
    await ended(runs, answer)
    question, answer = await shown(runs, owner_id, conversation_id)
    assert (question.role, question.text, question.status) == (Role.USER, "Why?", Status.DONE)
    assert (answer.role, answer.text, answer.status) == (Role.ASSISTANT, "Because it is.", Status.DONE)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.usage_estimated) == (12, 3, False)
    assert answer.finished_at is not None
    assert answer.model == "Scripted"


async def test_an_answer_is_stored_while_it_grows(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["The beginning", gate, " and the end."]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "The beginning")
    gate.set()
    assert (await ended(runs, answer)).text == "The beginning and the end."
    async with database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(AnswerChunk)) == 0


async def test_no_session_is_held_while_the_model_thinks(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["x", gate]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "x")
    async with asyncio.timeout(BRIEFLY):
        while database.engine.pool.checkedout() or database.reading_engine.pool.checkedout():  # type: ignore[attr-defined]  # of QueuePool
            await asyncio.sleep(0)
    gate.set()
    await ended(runs, answer)


async def test_usage_is_estimated_where_the_model_tells_none(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["four" * 5]
    _, answer = await begin(runs, owner_id)
    stored = await ended(runs, answer)
    assert (stored.completion_tokens, stored.usage_estimated) == (5, True)
    assert stored.prompt_tokens > 0


async def test_the_history_is_sent_with_the_next_question(runs: Runs, owner_id: int, model: Scripted) -> None:
    conversation_id, answer = await begin(runs, owner_id, "First?")
    await ended(runs, answer)
    _, answer = await answering.ask(runs, owner_id, conversation_id, Ask(content="Second?"))
    await ended(runs, answer)
    assert [turn.content for turn in model.received[1][1:]] == ["First?", "An answer.", "Second?"]


@pytest.mark.parametrize("code", ["refused", "unauthorised", "rate_limited", "timeout", "malformed", "unavailable"])
async def test_a_model_that_fails_leaves_one_sentence_and_the_text_so_far(
    runs: Runs, owner_id: int, model: Scripted, code: llm.provider.Code
) -> None:
    model.script = ["Half an", llm.LLMError(code, "The model said no.")]
    conversation_id, answer = await begin(runs, owner_id)
    await ended(runs, answer)
    question, answer = await shown(runs, owner_id, conversation_id)
    assert question.text == "Why?"
    assert (answer.status, answer.text, answer.error_code) == (Status.FAILED, "Half an", code)
    assert answer.error == "The model said no."


async def test_a_model_that_crashes_is_an_error_without_detail(
    runs: Runs, owner_id: int, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(model, "stream", crash)
    _, answer = await begin(runs, owner_id)
    stored = await ended(runs, answer)
    assert (stored.status, stored.error_code) == (Status.FAILED, "internal")
    assert "secret" not in stored.error


async def test_without_a_model_the_answer_names_the_settings(database: Database, owner_id: int) -> None:
    runs = Runs(database, None)
    _, answer = await begin(runs, owner_id)
    stored = await ended(runs, answer)
    assert stored.error_code == "not_configured"
    assert "LLM_BASE_URL" in stored.error


async def test_what_no_database_can_store_is_cleaned(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["a\0b\ud83dc"]
    _, answer = await begin(runs, owner_id)
    assert (await ended(runs, answer)).text == "ab?c"


async def test_stopping_keeps_the_text_and_closes_the_model(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["So far", asyncio.Event(), "never"]
    conversation_id, answer = await begin(runs, owner_id)
    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        await anext(live.growth(0))
    await answering.stop(runs, owner_id, answer)
    assert model.stopped.is_set()
    answer = (await shown(runs, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.STOPPED, "So far")


async def test_stopping_before_the_first_word_leaves_an_empty_stopped_answer(
    runs: Runs, owner_id: int, model: Scripted
) -> None:
    model.script = [asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    await answering.stop(runs, owner_id, answer)
    answer = (await shown(runs, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.STOPPED, "")


async def test_another_process_can_stop_an_answer(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await begin(runs, owner_id)
    sibling = Runs(database, None)
    await answering.stop(sibling, owner_id, answer)
    assert (await ended(runs, answer)).status == Status.STOPPED


async def test_another_process_shows_the_answer_as_it_grows(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "One, ")
    sibling = Runs(database, None)
    (_, answer) = await shown(sibling, owner_id, conversation_id)
    assert answer.text == "One, "
    seen = []
    async with sibling.view(answer) as live, asyncio.timeout(BRIEFLY):
        async for text in live.growth(0):
            seen.append(text)
            gate.set()
    assert seen == ["One, ", "One, two."]
    assert live.message.status == Status.DONE


async def test_every_viewer_gets_the_same_text(runs: Runs, owner_id: int, model: Scripted) -> None:
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    _, answer = await begin(runs, owner_id)

    async def look(live: LiveAnswer) -> str:
        return [text async for text in live.growth(0)][-1]

    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        viewers = [asyncio.create_task(look(live)) for _ in range(50)]
        gate.set()
        assert set(await asyncio.gather(*viewers)) == {"One, two."}


async def test_a_second_question_waits_for_the_first_answer(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = [asyncio.Event()]
    conversation_id, _ = await begin(runs, owner_id)
    with pytest.raises(AnswerRunningError):
        await answering.ask(runs, owner_id, conversation_id, Ask(content="And?"))
    assert len(await shown(runs, owner_id, conversation_id)) == 2


async def test_of_many_questions_at_once_one_is_taken(runs: Runs, owner_id: int, model: Scripted) -> None:
    conversation_id, answer = await begin(runs, owner_id)
    await ended(runs, answer)
    model.script = [asyncio.Event()]
    asks = [answering.ask(runs, owner_id, conversation_id, Ask(content=f"{i}?")) for i in range(8)]
    results = await asyncio.gather(*asks, return_exceptions=True)
    assert sum(isinstance(result, AnswerRunningError) for result in results) == 7
    assert len(await shown(runs, owner_id, conversation_id)) == 4


async def test_the_same_key_sent_twice_is_one_question(runs: Runs, owner_id: int, model: Scripted) -> None:
    conversation_id, answer = await begin(runs, owner_id)
    await ended(runs, answer)
    ask = Ask(content="Again?", client_key="k1")
    first = await answering.ask(runs, owner_id, conversation_id, ask)
    second = await answering.ask(runs, owner_id, conversation_id, ask)
    assert [message.id for message in first] == [message.id for message in second]
    await ended(runs, second[1])
    assert len(model.received) == 2


async def test_one_person_has_no_more_than_so_many_answers_running(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MOST_RUNNING):
        await begin(runs, owner_id)
    with pytest.raises(TooManyAnswersError):
        await begin(runs, owner_id)
    async with runs.database.reader() as session:
        assert await Chat(session, owner_id).count() == MOST_RUNNING


async def test_a_retry_answers_the_same_question_and_replaces_the_failed_answer(
    runs: Runs, owner_id: int, model: Scripted
) -> None:
    model.script = [llm.LLMError("timeout", "Too slow.")]
    conversation_id, failed = await begin(runs, owner_id)
    await ended(runs, failed)
    model.script = ["Better."]
    _, again = await answering.retry(runs, owner_id, failed)
    await ended(runs, again)
    assert [message.text for message in await shown(runs, owner_id, conversation_id)] == ["Why?", "Better."]
    assert [turn.content for turn in model.received[1][1:]] == ["Why?"]


async def test_a_closing_process_stores_what_there_is(runs: Runs, owner_id: int, model: Scripted) -> None:
    model.script = ["Almost", asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    async with runs.view(answer) as live, asyncio.timeout(BRIEFLY):
        await anext(live.growth(0))
    await runs.close()
    answer = (await shown(runs, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Almost")


async def test_the_answer_of_a_dead_process_is_ended_by_whoever_reads_it(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = ["Last words", asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Last words")
    await _kill(runs, database, answer)
    reader = Runs(database, None)
    answer = (await shown(reader, owner_id, conversation_id))[-1]
    assert (answer.status, answer.text) == (Status.INTERRUPTED, "Last words")


async def test_a_process_that_lost_its_answer_does_not_write_it_any_more(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Mine", gate, " and more"]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Mine")
    async with database.writer() as session:
        await session.execute(update(Message).where(col(Message.id) == answer.id).values(worker="another"))
    async with asyncio.timeout(BRIEFLY):
        await model.stopped.wait()
    gate.set()
    assert (await shown(runs, owner_id, conversation_id))[-1].status == Status.STREAMING


async def test_an_answer_is_kept_through_a_database_that_is_away_for_a_while(
    runs: Runs, owner_id: int, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True, False])

    async def finish(*arguments: object) -> Message | None:
        if next(failures):
            raise OperationalError("select 1", {}, Exception("gone"))
        return await original(*arguments)  # type: ignore[arg-type]  # passed on as they came

    original = record.finish
    monkeypatch.setattr(record, "finish", finish)
    monkeypatch.setattr(writing, "RETRY_END", (0, 0, 0))
    _, answer = await begin(runs, owner_id)
    stored = await ended(runs, answer)
    assert (stored.status, stored.text) == (Status.DONE, "An answer.")


async def test_answers_of_dead_processes_keep_nobody_from_asking(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = [asyncio.Event()]
    for _ in range(MOST_RUNNING):
        _, answer = await begin(runs, owner_id)
        await _kill(runs, database, answer)
    model.script = ["An answer."]
    restarted = Runs(database, model)
    _, answer = await begin(restarted, owner_id)
    assert (await ended(restarted, answer)).status == Status.DONE


async def test_of_many_first_questions_at_once_no_more_than_allowed_are_taken(
    runs: Runs, owner_id: int, model: Scripted
) -> None:
    model.script = [asyncio.Event()]
    results = await asyncio.gather(*(begin(runs, owner_id) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, TooManyAnswersError) for result in results) == 8 - MOST_RUNNING


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_same_key_sent_at_the_same_moment_is_one_question(
    runs: Runs, owner_id: int, model: Scripted, is_first: bool
) -> None:
    conversation_id, answer = await begin(runs, owner_id)
    await ended(runs, answer)
    ask = Ask(content="Again?", client_key="k1")
    into = None if is_first else conversation_id
    asked = await asyncio.gather(*(answering.ask(runs, owner_id, into, ask) for _ in range(5)))
    assert len({answer.id for _, answer in asked}) == 1
    await ended(runs, asked[0][1])
    assert len(model.received) == 2


async def test_an_answer_of_this_process_is_alive_however_late_its_lease(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["Still ", gate, "here."]
    conversation_id, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Still ")
    await _set(database, answer, lease_until=utc_now() - timedelta(minutes=1))
    assert (await shown(runs, owner_id, conversation_id))[-1].status == Status.STREAMING
    gate.set()
    assert (await ended(runs, answer)).text == "Still here."


async def test_a_lease_that_is_renewed_in_the_last_moment_keeps_the_saved_text(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    model.script = ["Saved", asyncio.Event()]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "Saved")
    async with database.writer() as session:
        late = (col(Message.id) == answer.id) & (col(Message.lease_until) < utc_now())
        assert not await record._end(session, late, answer.id, "", writing.INTERRUPTED)
    progress = await record.read(database, answer.id)
    assert progress
    assert progress.text == "Saved"


async def test_stopping_an_answer_that_has_hardly_begun_stores_its_end(
    runs: Runs, owner_id: int, model: Scripted
) -> None:
    model.script = [asyncio.Event()]
    conversation_id, answer = await begin(runs, owner_id)
    await runs.stop(answer.id)  # before its task has run for the first time
    assert (await shown(runs, owner_id, conversation_id))[-1].status == Status.STOPPED
    assert not runs._runs


async def test_a_save_whose_acknowledgement_was_lost_is_not_saved_twice(
    runs: Runs, owner_id: int, model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    async def save(*arguments: Any) -> bool | None:
        result = await original(*arguments)
        attempts.append(arguments[-1])
        if len(attempts) == 1:
            raise OperationalError("commit", {}, Exception("connection lost"))
        return result

    original = record.save
    monkeypatch.setattr(record, "save", save)
    gate = asyncio.Event()
    model.script = ["One, ", gate, "two."]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "One, ")
    gate.set()
    assert (await ended(runs, answer)).text == "One, two."


async def test_an_end_that_cannot_be_stored_is_told_to_the_viewers(
    runs: Runs, owner_id: int, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def finish(*_: object) -> None:
        raise InternalError("update", {}, Exception("read-only"))

    monkeypatch.setattr(record, "finish", finish)
    monkeypatch.setattr(writing, "RETRY_END", (0,))
    _, answer = await begin(runs, owner_id)
    assert (await ended(runs, answer)).error_code == "database"


async def test_a_process_that_closes_does_not_wait_for_a_database_that_is_away(
    runs: Runs, owner_id: int, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.script = ["So far", asyncio.Event()]
    _, answer = await begin(runs, owner_id)
    stuck = asyncio.Event()

    async def finish(*_: object) -> None:
        await stuck.wait()

    monkeypatch.setattr(record, "finish", finish)
    monkeypatch.setattr("app.features.chat.runs.CLOSE_WITHIN", 0.05)
    async with asyncio.timeout(BRIEFLY), runs.view(answer) as live:
        await runs.close()
        async for _ in live.growth(0):
            pass
    stuck.set()


async def test_a_page_that_is_opened_again_at_another_process_gets_no_block_twice(
    runs: Runs, owner_id: int, model: Scripted, database: Database
) -> None:
    gate = asyncio.Event()
    model.script = ["One.\n\nTwo.\n\nThree.\n\n", gate, "Four."]
    _, answer = await begin(runs, owner_id)
    await until_saved(database, answer.id, "One.\n\nTwo.\n\nThree.\n\n")
    sibling = Runs(database, None)

    async def article(_: Message) -> str:
        return ""

    async with sibling.view(answer) as live, asyncio.timeout(BRIEFLY):
        gate.set()
        offset = len("One.\n\nTwo.\n\nThree.\n\n")
        sent = [str(event.raw_data) async for event in html_events(live, offset, article)]
    assert "Four." in "".join(sent)
    assert "One." not in "".join(sent)


async def _set(database: Database, answer: Message, **values: Any) -> None:
    async with database.writer() as session:
        await session.execute(update(Message).where(col(Message.id) == answer.id).values(values))


async def _kill(runs: Runs, database: Database, answer: Message) -> None:
    """What remains of a process after SIGKILL: a row whose lease nobody renews."""
    run = runs._runs.pop(answer.id)
    run._generated.set()  # no more saving
    run.task.cancel()
    await asyncio.wait([run.task, run._saving])
    run._generation.cancel()
    await _set(database, answer, lease_until=utc_now() - timedelta(seconds=1))
