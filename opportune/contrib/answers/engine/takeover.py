"""Changes of running answers without their worker: stops, and takeovers from dead workers."""

from collections.abc import Callable, Collection

from sqlalchemy import false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.engine.jobs import cancel_jobs
from opportune.contrib.answers.engine.records import INTERRUPTED, STOPPED, UNREAD, AnswerProgress, AnswerResult, Outcome
from opportune.contrib.answers.engine.results import end_answers
from opportune.contrib.answers.engine.store import RUNNING, assign_worker, read_answers, read_progress_for_update
from opportune.contrib.answers.engine.tool_runs import job_indexes, stop_jobs
from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.db.hooks.registry import after_update, changes
from opportune.db.queries.dialects import read_database_time


async def stop_answer(session: AsyncSession, answer_id: int) -> None:
    """Request the worker of an answer to stop. An answer that waits ends immediately, and so do its jobs."""
    progress = await read_progress_for_update(session, answer_id)
    if progress and progress.answer.is_waiting:
        answer = progress.answer
        await cancel_jobs(session, answer_id, job_indexes(answer.tool_runs))
        result = AnswerResult(
            answer_id,
            progress.text,
            STOPPED,
            tool_runs=stop_jobs(answer.tool_runs),
            sources=answer.sources,
            reasoning=progress.reasoning,
        )
        await end_answers(session, [result])
    elif progress and progress.answer.is_running:
        progress.answer.stop_requested = True


@after_update(User)
async def stop_answers_of_inactive_user(session: AsyncSession, user: User) -> None:
    """Request the workers to stop. An answer that waits is refused when it continues."""
    if not user.is_active and "is_active" in changes(user):
        is_written = col(Answer.owner_id) == user.id, col(Answer.status) == AnswerStatus.STREAMING
        await session.execute(update(Answer).where(*is_written).values(stop_requested=True))


async def take_over_answers(
    session: AsyncSession,
    worker: str,
    dead: Collection[Answer],
    can_continue: Callable[[AnswerProgress], bool] = lambda _: False,
    outcome: Outcome = INTERRUPTED,
) -> list[AnswerProgress]:
    """Take over the answers of dead workers that can be continued, and return them. End the others.

    This also ends answers that were not approved in time. If several workers try, only one gets each answer.

    `can_continue` tells which ones this worker can continue, by default none. The others end with the outcome, or as
    stopped after a stop request.
    """
    # Only rows that are as last read: another worker may have taken an answer over in the meantime.
    id_ = col(Answer.id)
    worker_ = col(Answer.worker)
    lease = col(Answer.lease_until)
    unchanged = ((id_ == row.id) & (worker_ == row.worker) & (lease <= row.lease_until) for row in dead)
    query = select(id_).where(or_(false(), *unchanged), col(Answer.status).in_(RUNNING))
    locked = (await session.scalars(query.with_for_update(skip_locked=True))).all()
    now = await read_database_time(session)
    continued: list[AnswerProgress] = []
    ended: list[AnswerResult] = []
    for progress in (await read_answers(session, dict.fromkeys(locked, UNREAD))).values():
        answer = progress.answer
        if not answer.stop_requested and can_continue(progress):
            assign_worker(answer, worker, now)
            answer.takeovers += 1
            continued.append(progress)
        else:
            final = STOPPED if answer.stop_requested else outcome
            ended.append(AnswerResult(answer.id, progress.text, final, reasoning=progress.reasoning))
    await session.flush()
    await end_answers(session, ended)
    return continued
