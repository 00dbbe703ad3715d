"""Dependencies of routes that ask for answers and show them."""

from typing import Annotated

from fastapi import Depends, Request

from opportune.answers.manager import AnswerManager
from opportune.errors import OperatorError


async def get_answers(request: Request) -> AnswerManager:
    manager: AnswerManager | None = getattr(request.app.state, "answers", None)
    if manager is None:
        raise OperatorError("Answers are not installed: put `answers` of opportune.features into app/installed.py.")
    return manager


Answers = Annotated[AnswerManager, Depends(get_answers)]
"""The answers of the site, in a route: `answers: Answers`."""
