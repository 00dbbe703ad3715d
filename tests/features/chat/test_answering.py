"""Questions, their answers and what becomes of both, on real databases and with a scripted model."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError
from sqlmodel import col

from app.core import llm
from app.core.db.database import Database
from app.core.db.model import utc_now
from app.core.llm.scripted import Scripted
from app.features.chat import answering, record
from app.features.chat import runs as runs_module
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
    conversation_id = await answering.begin(runs, owner_id, Ask(content=question))
    return conversation_id, (await shown(runs, owner_id, conversation_id))[-1]


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
    assert (await shown(sibling, owner_id, conversation_id))[-1].text == "One, "
    answer.text = ""
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
    assert model.stopped
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
    monkeypatch.setattr(runs_module, "RETRY_END", (0, 0, 0))
    _, answer = await begin(runs, owner_id)
    stored = await ended(runs, answer)
    assert (stored.status, stored.text) == (Status.DONE, "An answer.")


async def _kill(runs: Runs, database: Database, answer: Message) -> None:
    """What remains of a process after SIGKILL: a row whose lease nobody renews."""
    for run in runs._runs.values():
        run.finished.set()  # no more saving
    past = utc_now() - timedelta(seconds=1)
    async with database.writer() as session:
        await session.execute(
            update(Message).where(col(Message.id) == answer.id).values(lease_until=past, worker="dead")
        )
