"""The reasons why nothing is asked: answers of their own, unless a page says it its own way."""

from collections.abc import Sequence

from fastapi import HTTPException


class AnswerRunning(HTTPException):
    """This person's last question on the topic is still being answered: the web answers 409."""

    def __init__(self) -> None:
        super().__init__(409, "The last answer is still being written.")


class TooManyAnswers(HTTPException):
    """This person already has as many answers running as one may have: the web answers 429."""

    def __init__(self) -> None:
        super().__init__(429, "You have several answers running already.")


class UnknownCall(HTTPException):
    """The answer has no tool call at this place: the web answers 404."""

    def __init__(self) -> None:
        super().__init__(404, "This answer has no such call.")


class ToolNotAllowed(HTTPException):
    """Whoever says yes could not have this done themselves (a program, a superuser in another's account): 403."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(403, f"This cannot be allowed from here: it needs the scope {' and '.join(missing)}.")
