"""HTTP exceptions that refuse a question or the approval of a tool call."""

from collections.abc import Sequence

from fastapi import HTTPException

from opportune.i18n import gettext as _
from opportune.i18n.formats import format_list, format_number


class AnswerRunning(HTTPException):
    """The user's last question on the topic is still being answered."""

    def __init__(self) -> None:
        super().__init__(409, _("The last answer is still being written."))


class TooManyAnswers(HTTPException):
    """The user has reached the limit of running answers."""

    def __init__(self) -> None:
        super().__init__(429, _("You have several answers running already."))


class QuestionTooLong(HTTPException):
    """The question does not fit into the context of its model."""

    def __init__(self, max_length: int) -> None:
        message = _(
            "This model reads at most %(number)s characters. Please write less.", number=format_number(max_length)
        )
        super().__init__(422, message)


class UnknownCall(HTTPException):
    """The answer has no tool call at this index."""

    def __init__(self) -> None:
        super().__init__(404, _("This answer has no such call."))


class ToolNotAllowed(HTTPException):
    """The approving client lacks a scope of the tool: a token, or a superuser who impersonates the user."""

    def __init__(self, missing: Sequence[str]) -> None:
        scopes = format_list(missing)
        super().__init__(403, _("This cannot be allowed from here: it needs the scope %(scopes)s.", scopes=scopes))
