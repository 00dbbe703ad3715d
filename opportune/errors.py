"""The exceptions that say something to a person."""

from collections.abc import Mapping


class OperatorError(Exception):
    """Something that the person at the command line can put right.

    The message is one line that names the cause and the next step, and never a secret. The command line prints it on
    stderr and exits with 1; nothing else about it is shown.
    """

    advice: str = ""
    """A sentence for operators, such as which setting to check. The command line and the log show it, pages do not."""

    @property
    def with_advice(self) -> str:
        return f"{self} {self.advice}".rstrip()


class CommandError(OperatorError):
    """What `call_command` raises: the line that the command line would print."""

    def __init__(self, message: str, code: int, output: str) -> None:
        super().__init__(message)
        self.code = code
        """The exit code: 1 it failed, 2 it was called wrongly."""
        self.output = output
        """What it had printed before."""


class SettingsError(OperatorError):
    """The settings are unsafe or malformed; the message holds no value."""


class ReadOnlyError(OperatorError):
    """Nothing can be written here, and that is meant so: the web answers 503."""


class ServiceError(OperatorError):
    """A service that the site depends on, such as a language model, gave no usable response.

    The message is one sentence for users. Pages show it with `status`, commands print it.
    """

    service: str = "a service"
    """Name of the service in log lines."""
    code: str = "unavailable"
    retryable: bool = True
    retry_after: float | None = None
    """Seconds after which another attempt makes sense, if the service says so."""
    status: int = 503


class NotFound(LookupError):
    """What was asked for is not there, or not for this person: the web answers 404, without telling which."""


class Forbidden(Exception):
    """What this person may not do, wherever it is asked for: the web answers 403."""


class Refused(Exception):
    """A change that is not possible now. The message tells the user why; the response has this `status`."""

    status: int = 409


class FieldErrors(Exception):
    """A change that is not made, and why, in a sentence for each field; `""` is for all of it: the web answers 422."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(dict.fromkeys(errors.values())))
        self.errors = errors


class Busy(Exception):
    """Too much is going on to do this now: the web answers 503 with this sentence and a time to come back."""
