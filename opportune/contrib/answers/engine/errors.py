"""Reasons to refuse a question or the approval of a tool call, with the status of the response."""

from collections.abc import Sequence

from opportune.errors import Refused
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_list, format_number


class AnswerRunning(Refused):
    """The user's last question on the topic is still being answered."""

    def __init__(self) -> None:
        super().__init__(_("The last answer is still being written."))


class TooManyAnswers(Refused):
    """The user has reached the limit of running answers."""

    status = 429

    def __init__(self) -> None:
        super().__init__(_("You have several answers running already."))


class QuestionTooLong(Refused):
    """The question does not fit into the context of its model."""

    status = 422

    def __init__(self, max_length: int) -> None:
        super().__init__(
            _("This model reads at most %(number)s characters. Please write less.", number=format_number(max_length))
        )


class UnknownCall(Refused):
    """The answer has no tool call at this index."""

    status = 404

    def __init__(self) -> None:
        super().__init__(_("This answer has no such call."))


class QuestionGone(Refused):
    """The form of a question was removed from the site."""

    status = 410

    def __init__(self) -> None:
        super().__init__(_("This question no longer exists. Refuse it to continue the answer."))


class ToolNotAllowed(Refused):
    """The approving client lacks a scope of the tool: a token, or a superuser who impersonates the user."""

    status = 403

    def __init__(self, missing: Sequence[str]) -> None:
        scopes = format_list(missing)
        super().__init__(_("This cannot be allowed from here: it needs the scope %(scopes)s.", scopes=scopes))
