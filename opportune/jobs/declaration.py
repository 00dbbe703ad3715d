"""Declaration of jobs, their context, and their queue: `defer` in a transaction, `JobQueue.enqueue` without one."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from types import MappingProxyType
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.errors.arguments import strict_as
from opportune.errors.option_constraints import ASYNCHRONOUS
from opportune.jobs.arguments import SIGNATURE_FORMAT, JobArguments
from opportune.schemas.text import require_storable
from opportune.storage import Storage

DEFAULT_QUEUE = "default"
MAX_KEY_LENGTH = 500
MAX_GROUP_LENGTH = 200
MAX_DELAY_SECONDS = 1e10
"""Three centuries. Databases refuse times after the year 9999."""

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


declared: "list[JobDefinition[Any]]" = []
"""All jobs of imported modules."""


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
            total: Number of all items.
            note: A short text.
        """


@dataclass(frozen=True)
class JobCall(Generic[P]):
    """A job with its arguments, which are JSON values."""

    job: "JobDefinition[P]"
    arguments: tuple[Any, ...]


@strict_as("job")
@dataclass(frozen=True, kw_only=True)
class JobDefinition(Generic[P]):
    """A declared job: its function, attempts and schedule."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """`<feature>.<action>`. Queued jobs are stored with it, so renaming a job loses them."""
    function: Annotated[Callable[Concatenate[JobContext, P], Awaitable[None]], ASYNCHRONOUS]
    attempts: PositiveInt = 5
    """Maximum number of attempts."""
    wait: NonNegativeFloat = 1.0
    """Seconds before the second attempt, doubled before each further attempt."""
    queue: Annotated[str, StringConstraints(min_length=1, max_length=50)] = DEFAULT_QUEUE
    """Queue in which calls wait. Limits apply to a queue."""
    priority: Annotated[int, Field(ge=-(2**15), lt=2**15)] = 0
    """Calls with a lower number run before others of the queue."""
    group_limit: Annotated[PositiveInt, Field(lt=2**15)] = 1
    """Maximum number of jobs of a group that run at a time."""
    max_seconds: PositiveFloat | None = None
    """Maximum duration of an attempt."""
    schedule: str | Callable[[Settings], str] = ""
    """A cron expression in UTC, or a function that returns one from the settings. The job takes no arguments."""
    heartbeat_url: str | Callable[[Settings], str] = ""
    """Address that is called after each success (oppman.py docs monitoring)."""
    on_failure: Annotated[Callable[..., Awaitable[None]], ASYNCHRONOUS] | None = None
    """Function that is called with the context, the error and the arguments after the last attempt has failed."""

    def __post_init__(self) -> None:
        function = self.function.__qualname__
        parameters = signature(self.function, **SIGNATURE_FORMAT)
        first = next(iter(parameters.parameters.values()), None)
        is_value = first is not None and first.annotation in (int, float, bool, str, bytes, list, dict)
        if first is None or is_value or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
            raise OperatorError(f"Job {self.name}: {function} needs a first argument, run: JobContext.")
        try:
            if self.schedule:
                parameters.bind(None)
        except TypeError as error:
            advice = "A schedule passes no arguments: give it a default value."
            raise OperatorError(f"Job {self.name}: {function}: {error}. {advice}") from None
        if self.on_failure:
            try:
                signature(self.on_failure).bind(None, None, *list(parameters.parameters)[1:])
            except TypeError as error:
                advice = "It gets the context, the error and the arguments of the job."
                raise OperatorError(f"Job {self.name}: on_failure: {error}. {advice}") from None

    @cached_property
    def _arguments(self) -> JobArguments:
        return JobArguments(self.function)

    def heartbeat_url_in(self, settings: Settings) -> str:
        return self.heartbeat_url if isinstance(self.heartbeat_url, str) else self.heartbeat_url(settings)

    def schedule_in(self, settings: Settings) -> str:
        return self.schedule if isinstance(self.schedule, str) else self.schedule(settings)

    def __call__(self, *arguments: P.args, **keywords: P.kwargs) -> JobCall[P]:
        """Return a call to queue: `defer(session, shrink_photo(registration.id))`.

        Raises:
            OperatorError: An argument is missing, has another type than its annotation, or is a row.
        """
        with self._explained():
            return JobCall(self, self._arguments.store(arguments, keywords))

    async def run(self, context: JobContext, stored_arguments: Sequence[Any]) -> None:
        """Run the function with arguments as the queue stores them. It gets values of its annotated types."""
        with self._explained():
            arguments = self._arguments.read(stored_arguments)
        function: Callable[..., Awaitable[None]] = self.function
        await function(context, *arguments)

    def is_final(self, attempt: int, error: Exception) -> bool:
        """Return whether no attempt follows the one that has raised this error."""
        return attempt >= self.attempts or isinstance(error, PermanentFailure)

    async def call_on_failure(self, context: JobContext, error: Exception, stored_arguments: Sequence[Any]) -> None:
        if self.on_failure:
            await self.on_failure(context, error, *self._arguments.read(stored_arguments))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TypeError as error:
            raise OperatorError(f"Job {self.name}: {error}.") from None


class JobOptions(TypedDict, total=False):
    """Options of `job`. `JobDefinition` has their defaults."""

    attempts: int
    """Maximum number of attempts."""
    wait: float
    """Seconds before the second attempt, doubled before each further attempt."""
    queue: str
    """Queue in which calls wait. `JOBS_LIMITS` limits queues."""
    priority: int
    """Calls with a lower number run before others of their queue."""
    group_limit: int
    """Number of jobs that run at a time in each group of `defer(…, group=…)`."""
    max_seconds: float
    """Maximum duration of an attempt, which then fails."""
    schedule: str | Callable[[Settings], str]
    """A cron expression in UTC, or a function that returns one from the settings."""
    heartbeat_url: str | Callable[[Settings], str]
    """Address that is called after each success."""
    on_failure: Callable[..., Awaitable[None]]
    """Async function that is called with the context, the error and the arguments after the last attempt has failed."""


def job(
    name: str, **options: Unpack[JobOptions]
) -> Callable[[Callable[Concatenate[JobContext, P], Awaitable[None]]], JobDefinition[P]]:
    """Declare an async function as a job. List it in its feature: `Feature(jobs=Jobs([shrink_photo]))`.

        @job("events.shrink_photo", attempts=3)
        async def shrink_photo(run: JobContext, registration_id: int) -> None: ...

    Args:
        name: Unique name, `<feature>.<action>`.
        options: See `JobOptions`.
    """

    def declare(function: Callable[Concatenate[JobContext, P], Awaitable[None]]) -> JobDefinition[P]:
        declared.append(definition := JobDefinition(name=name, function=function, **options))
        return definition

    return declare


class JobQueue(ABC):
    """The job queue of a site, at `app.state.jobs` and `session.info["jobs"]`."""

    jobs: Mapping[str, JobDefinition[Any]] = MappingProxyType({})
    """The jobs of installed features, by name."""

    def check(self, call: JobCall[Any], key: str, group: str, delay: float) -> None:
        """Refuse a job that is not called or not listed, and options that cannot be stored. See `enqueue`."""
        if not isinstance(call, JobCall):
            raise OperatorError(f"A job is queued by its call, such as shrink_photo(7), not by {type(call).__name__}.")
        name = call.job.name
        if self.jobs and name not in self.jobs:
            raise LookupError(f"No installed feature lists the job {name}. Add it to jobs=Jobs([…]) of its feature.")
        try:
            require_storable(key + group)
            fits = len(key) <= MAX_KEY_LENGTH and len(group) <= MAX_GROUP_LENGTH and abs(delay) < MAX_DELAY_SECONDS
        except (TypeError, ValueError):
            fits = False
        if not fits:
            lengths = f"at most {MAX_KEY_LENGTH} and {MAX_GROUP_LENGTH} characters without NUL"
            raise OperatorError(f"Job {name}: key and group need {lengths}, and delay needs seconds, such as 0.5.")

    @abstractmethod
    async def enqueue(self, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> str:
        """Queue a call in its own transaction, and return its id.

        Args:
            call: The job with its arguments.
            key: Unique key. A second call with the same key returns the id of the first.
            group: Group whose jobs run one after the other, such as `customer 7`. Groups take turns.
            delay: Seconds until the job is due.

        Raises:
            LookupError: No installed feature lists the job.
            OperatorError: The job is not called, or an option cannot be stored, such as a key of 501 characters.
        """

    @abstractmethod
    def defer(
        self, session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0
    ) -> None:
        """Queue a call in the transaction of this session, as `opportune.jobs.defer` does."""


def defer(session: AsyncSession, call: JobCall[Any], *, key: str = "", group: str = "", delay: float = 0) -> None:
    """Queue a call in the transaction of this session. If the transaction is rolled back, so is the job.

    Args:
        session: A writing session.
        call: The job with its arguments.
        key: Unique key. A second call with the same key is not queued.
        group: Group whose jobs run one after the other, such as `customer 7`. Groups take turns.
        delay: Seconds until the job is due.

    Raises:
        LookupError: No installed feature lists the job, or the session is not one of the framework.
        OperatorError: The job is not called, or an option cannot be stored, such as a key of 501 characters.
    """
    queue: JobQueue | None = session.info.get("jobs")
    if queue is None:
        raise LookupError("This session cannot queue jobs. Take a WriteSession of opportune.db in the route.")
    queue.check(call, key, group, delay)
    queue.defer(session, call, key=key, group=group, delay=delay)
