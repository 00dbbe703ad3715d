"""Declaration of jobs. A declared job is called with its arguments, and its call is queued."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import Signature, signature
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypedDict, Unpack

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, StringConstraints

from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.errors.arguments import strict_as
from opportune.errors.option_constraints import ASYNCHRONOUS
from opportune.jobs.arguments import SIGNATURE_FORMAT, JobArguments
from opportune.jobs.context import JobContext, PermanentFailure

DEFAULT_QUEUE = "default"

P = ParamSpec("P")


declared: "list[JobDefinition[Any]]" = []
"""All jobs of imported modules."""


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
    """Queue in which calls wait. `JOBS_LIMITS` limits queues."""
    priority: Annotated[int, Field(ge=-(2**15), lt=2**15)] = 0
    """Calls with a lower number run before others of the queue."""
    group_limit: Annotated[PositiveInt, Field(lt=2**15)] = 1
    """Maximum number of jobs of a group (`defer(…, group=…)`) that run at a time."""
    max_seconds: PositiveFloat | None = None
    """Maximum duration of an attempt, which then fails."""
    schedule: str | Callable[[Settings], str] = ""
    """A cron expression in UTC, or a function that returns one from the settings. The job takes no arguments."""
    heartbeat_url: str | Callable[[Settings], str] = ""
    """Address that is called after each success (oppman.py docs monitoring)."""
    on_failure: Annotated[Callable[..., Awaitable[None]], ASYNCHRONOUS] | None = None
    """Async function that is called with the context, the error and the arguments after the last attempt has failed."""

    def __post_init__(self) -> None:
        function = self.function.__qualname__
        parameters = signature(self.function, **SIGNATURE_FORMAT)
        first = next(iter(parameters.parameters.values()), None)
        is_value = first is not None and first.annotation in (int, float, bool, str, bytes, list, dict)
        if first is None or is_value or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
            raise OperatorError(f"Job {self.name}: {function} needs a first argument, run: JobContext.")
        if self.schedule:
            advice = "A schedule passes no arguments: give it a default value."
            self._require_callable(function, parameters, [None], advice)
        if self.on_failure:
            advice = "It gets the context, the error and the arguments of the job."
            arguments = [None, None, *list(parameters.parameters)[1:]]
            self._require_callable("on_failure", signature(self.on_failure), arguments, advice)

    def _require_callable(self, function: str, parameters: Signature, arguments: Sequence[Any], advice: str) -> None:
        try:
            parameters.bind(*arguments)
        except TypeError as error:
            raise OperatorError(f"Job {self.name}: {function}: {error}. {advice}") from None

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
    """Calls with a lower number run before others of the queue."""
    group_limit: int
    """Maximum number of jobs of a group (`defer(…, group=…)`) that run at a time."""
    max_seconds: float
    """Maximum duration of an attempt, which then fails."""
    schedule: str | Callable[[Settings], str]
    """A cron expression in UTC, or a function that returns one from the settings. The job takes no arguments."""
    heartbeat_url: str | Callable[[Settings], str]
    """Address that is called after each success (oppman.py docs monitoring)."""
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
