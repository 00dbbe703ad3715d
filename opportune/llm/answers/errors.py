"""HTTP exceptions that refuse a question or the approval of a tool call."""

from collections.abc import Sequence

from fastapi import HTTPException


class AnswerRunning(HTTPException):
    """The user's last question on the topic is still being answered."""

    def __init__(self) -> None:
        super().__init__(409, "The last answer is still being written.")


class TooManyAnswers(HTTPException):
    """The user has reached the limit of running answers."""

    def __init__(self) -> None:
        super().__init__(429, "You have several answers running already.")


class QuestionTooLong(HTTPException):
    """The question does not fit into the context of its model."""

    def __init__(self, max_length: int) -> None:
        super().__init__(422, f"This model reads at most {max_length} characters. Please write less.")


class UnknownCall(HTTPException):
    """The answer has no tool call at this index."""

    def __init__(self) -> None:
        super().__init__(404, "This answer has no such call.")


class ToolNotAllowed(HTTPException):
    """The approving client lacks a scope of the tool: a token, or a superuser who impersonates the user."""

    def __init__(self, missing: Sequence[str]) -> None:
        super().__init__(403, f"This cannot be allowed from here: it needs the scope {' and '.join(missing)}.")
