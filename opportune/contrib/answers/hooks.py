"""Hooks at the end of an answer."""

from collections.abc import Callable
from functools import wraps

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.answers.models import Answer
from opportune.db.hooks.registry import Hook, after_update, changes


def after_answer(topic: str) -> Callable[[Hook[Answer]], Hook[Answer]]:
    """Decorate a function to run when an answer ends, in the transaction that stores the end.

    The function may queue a job or write rows; `answer.status` says how the answer ended. It runs in any process.
    List it in `Feature(hooks=[...])`.

    Args:
        topic: Part of the topic before the colon, such as "books" for answers on `books:12`.

    Example:
        @after_answer("books")
        async def mark_answered(session: AsyncSession, answer: Answer) -> None:
            ...
    """

    def register(hook: Hook[Answer]) -> Hook[Answer]:
        @wraps(hook)
        async def run(session: AsyncSession, answer: Answer) -> None:
            if answer.topic.partition(":")[0] == topic and "status" in changes(answer) and not answer.is_running:
                await hook(session, answer)

        return after_update(Answer)(run)

    return register
