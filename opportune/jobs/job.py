"""Declaring jobs, and the context that a running one is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from opportune.config.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from opportune.db.database import Database
    from opportune.storage import Storage

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class PermanentFailure(Exception):
    """Raised by a job that no further try can help: it fails at once, with this line for its reason."""


class RetryLater(Exception):
    """Raised by a job that was told when another try can help: it fails for now, with this line for its reason."""

    def __init__(self, reason: str, seconds: float) -> None:
        """Retry after the longer of `seconds` and the job's `wait`, at most after one hour."""
        super().__init__(reason)
        self.seconds = seconds


class JobContext(Protocol):
    """One execution of a job. A crash in its middle begins the function again; what was recorded is not done twice."""

    id: str
    attempt: int
    """1 for the first attempt."""
    settings: Settings
    database: "Database"
    storage: "Storage"

    def service(self, type_: type[T]) -> T:
        """Return a service that a feature registers, such as `context.service(LanguageModel)`.

        Raises:
            ServiceMissing: No installed feature registers it.
        """

    def __getattr__(self, name: str) -> Any:
        """Return a service by its name, such as `context.llm`."""

    async def write(self, work: "Callable[Concatenate[AsyncSession, P], Awaitable[R]]", *args: P.args) -> R:  # type: ignore[valid-type]
        """Do work in a transaction that also records that it is done: it takes effect once, whatever crashes.

        The result, a JSON value, is kept; a repetition gets it and does not do the work again.
        """

    async def progress(self, done: int, total: int, note: str = "") -> None:
        """Report how far the job is, for those who look at the list of jobs."""


@dataclass(frozen=True)
class JobCall(Generic[P]):
    """A job with its arguments: JSON values, which stay readable for whoever looks at the job."""

    job: "JobDefinition[P]"
    arguments: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class JobDefinition(Generic[P]):
    """A declared job: its function, and how often and when it is tried."""

    name: str
    """`<feature>.<what it does>`. It is stored: a job that waits is found again by it."""
    function: Callable[Concatenate[JobContext, P], Awaitable[None]]
    attempts: int = 5
    """Attempts in all, before the job counts as failed."""
    wait: float = 1.0
    """Seconds before the second attempt; they double with each further one."""
    schedule: str | Callable[[Settings], str] = ""
    """When it runs by itself: a cron expression in UTC, or what finds it in the settings. It takes no arguments."""

    heartbeat_url: str | Callable[[Settings], str] = ""
    """An address that is called each time that it has gone well (docs/monitoring.md)."""

    def heartbeat_url_in(self, settings: Settings) -> str:
        """That address on a site of these settings; empty where there is none."""
        return self.heartbeat_url if isinstance(self.heartbeat_url, str) else self.heartbeat_url(settings)

    def schedule_in(self, settings: Settings) -> str:
        """When it runs by itself on a site of these settings; empty where it does not."""
        return self.schedule if isinstance(self.schedule, str) else self.schedule(settings)

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> JobCall[P]:
        """The job with these arguments, to be queued: `defer(session, shrink_photo(registration.id))`."""
        assert not named, "arguments are stored by position"
        return JobCall(self, arguments)


def job(
    name: str,
    *,
    attempts: int = 5,
    wait: float = 1.0,
    schedule: str | Callable[[Settings], str] = "",
    heartbeat_url: str | Callable[[Settings], str] = "",
) -> Callable[[Callable[Concatenate[JobContext, P], Awaitable[None]]], JobDefinition[P]]:
    """Make a job of a coroutine function. Its feature lists it: `Feature(jobs=[shrink_photo])`."""

    def declare(function: Callable[Concatenate[JobContext, P], Awaitable[None]]) -> JobDefinition[P]:
        return JobDefinition(
            name=name,
            function=function,
            attempts=attempts,
            wait=wait,
            schedule=schedule,
            heartbeat_url=heartbeat_url,
        )

    return declare
