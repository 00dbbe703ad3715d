"""What features do when an answer ends."""

from collections.abc import Callable
from functools import wraps

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.hooks.registry import Hook, after_change, changes
from opportune.llm.answers.models import Answer


def after_answer(topic: str) -> Callable[[Hook[Answer]], Hook[Answer]]:
    """Have a function run when an answer ends, in the transaction that stores that: queue a job, write a row.

    `topic` is the part before the colon: "books" for answers on `books:12`. List it in `Feature(hooks=[…])`. It runs
    in whichever process ends the answer; `answer.status` tells how that was.
    """

    def register(hook: Hook[Answer]) -> Hook[Answer]:
        @wraps(hook)
        async def run(session: AsyncSession, answer: Answer) -> None:
            if answer.topic.partition(":")[0] == topic and "status" in changes(answer) and not answer.is_running:
                await hook(session, answer)

        return after_change(Answer)(run)

    return register
