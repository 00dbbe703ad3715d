"""Exceptions with a message for an operator or a user."""

from collections.abc import Mapping
from typing import TypeVar

__all__ = ["Busy", "CommandError", "FieldErrors", "Forbidden", "NotFound", "OperatorError", "require_found"]

T = TypeVar("T")


class OperatorError(Exception):
    """A problem that the operator can solve.

    The message is one line with the cause and the next step, without secrets. The command line prints it to stderr,
    without a traceback, and exits with 1.
    """

    advice: str = ""
    """A sentence for operators, such as which setting to check. The command line and the log show it, pages do not."""

    @property
    def english(self) -> str:
        """The English message, for logs and for the database. Pages translate a stored one."""
        message = self.args[0] if self.args else ""
        return str.__str__(message) if isinstance(message, str) else str(self)  # a `LazyText` would translate itself

    @property
    def with_advice(self) -> str:
        return f"{self.english} {self.advice}".rstrip()


class CommandError(OperatorError):
    """A failed call of `call_command`. The message is the line that the command line would print."""

    def __init__(self, message: str, code: int, output: str) -> None:
        super().__init__(message)
        self.code = code
        """The exit code: 1 for a failure, 2 for wrong usage."""
        self.output = output
        """Output up to the failure."""


class SettingsError(OperatorError):
    """Invalid or unsafe settings. The message names them and never shows their values."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ReadOnlyError(OperatorError):
    """A write to a read-only database. The response has status 503."""


class ServiceError(OperatorError):
    """A service that the site depends on, such as a language model, gave no usable response.

    The message is one sentence for users. Pages show it with `status`, commands print it.
    """

    service: str = "a service"
    """Name of the service in log lines."""
    code: str = "unavailable"
    """Short name of the problem, for programs."""
    retryable: bool = True
    """Whether another attempt can succeed."""
    retry_after: float | None = None
    """Seconds after which another attempt makes sense, if the service says so."""
    status: int = 503


class NotFound(LookupError):
    """The object does not exist, or the user may not know about it. The response has status 404 in both cases."""


def require_found(row: T | None) -> T:
    """Return the row of a query, which the user may know about.

    Args:
        row: The row, or another result.

    Raises:
        NotFound: It is None.

    Example:
        book = require_found(await session.get(Book, 7))
    """
    if row is None:
        raise NotFound
    return row


class Forbidden(Exception):
    """The user lacks the permission. The response has status 403."""


class Refused(Exception):
    """A change that is not possible now. The message tells the user why; the response has this `status`."""

    status: int = 409


class FieldErrors(Exception):
    """Invalid values of a form or request. The response has status 422, and the database is unchanged.

    Args:
        errors: A sentence for each invalid field by its name; `""` for the form as a whole.
    """

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(dict.fromkeys(map(str, errors.values()))))
        self.errors = errors


class Busy(Exception):
    """The server is overloaded. The response has status 503 with this message and a Retry-After header."""

    status: int = 503
