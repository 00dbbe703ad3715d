"""Context of an attempt, which jobs receive, and errors that they raise to end it."""

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.storage import Storage

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class PermanentFailure(Exception):
    """Raise this in a job to let it fail without further attempts. The message is the reason."""


class RetryLater(Exception):
    """Raise this in a job to end the attempt and retry later. The message is the reason."""

    def __init__(self, reason: str, seconds: float) -> None:
        """Retry after `seconds`.

        Args:
            reason: One line for the list of jobs.
            seconds: Minimum delay. The job's `wait` applies if it is longer; the maximum is one hour.
        """
        super().__init__(reason)
        self.seconds = seconds


class JobContext(Protocol):
    """One attempt of a job, passed to its function.

    After a crash, the function runs again from its start. Steps that `write` has recorded are skipped.
    """

    id: str
    attempt: int
    """Number of the attempt, from 1."""
    settings: Settings
    database: Database
    storage: Storage

    def service(self, type_: type[T]) -> T:
        """Return a service that a feature registers, such as `context.service(LanguageModel)`.

        Raises:
            ServiceMissing: No installed feature registers it.
        """

    def __getattr__(self, name: str) -> Any:
        """Return a service by its name, such as `context.llm`."""

    async def write(self, work: Callable[Concatenate[AsyncSession, P], Awaitable[R]], *args: P.args) -> R:  # type: ignore[valid-type]
        """Run a step in a transaction that also records it, so that it takes effect once.

        Args:
            work: A function of a session and `args`. Its result must be a JSON value.
            args: Arguments of the function.

        Returns:
            The result. A later attempt gets the recorded result without running the step.
        """

    async def step(self, work: Callable[P, Awaitable[R]], *args: P.args) -> R:  # type: ignore[valid-type]
        """Run a step outside of a transaction, such as a call of a language model, and record its result.

        A later attempt gets the recorded result. After a crash during the step, it runs again.

        Args:
            work: A function of `args`. Its result must be a JSON value.
            args: Arguments of the function.
        """

    async def progress(self, done: int, total: int, note: str = "") -> None:
        """Store the progress for the list of jobs.

        Args:
            done: Number of completed items.
            total: Number of all items; 0 if it is unknown.
            note: A short text.
        """
