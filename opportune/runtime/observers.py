"""Who is told of work while it is done: metrics and traces, where they are on. Without any, asking costs a look."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class LlmCall:
    """A call of a model, filled in while it runs."""

    model: str
    """The name that people are shown."""
    asked_model: str = ""
    """The name at the endpoint."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micro: int = 0
    first_chunk_seconds: float | None = None
    """None where nothing has come."""
    error: str = ""
    """The code of what has kept it from its end; `stopped` where nobody reads on."""


@dataclass(frozen=True, slots=True)
class JobAttempt:
    """One attempt of a job."""

    id: int
    name: str
    number: int
    """1 for the first."""
    traceparent: str = ""
    """Of the request that has queued it, where that was traced."""


class Observer:
    """What is told of work: each method gives what is entered as it begins and left as it ends, with its error."""

    def llm_call(self, call: LlmCall) -> AbstractContextManager[None]:
        """Observe a call; left by another task than entered, perhaps."""
        del call
        return nullcontext()

    def job(self, attempt: JobAttempt) -> AbstractContextManager[None]:
        del attempt
        return nullcontext()


traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""The trace that this request or job belongs to, as a W3C header; empty where it belongs to none."""
job_id: ContextVar[int] = ContextVar("job_id", default=0)
"""The job that runs here; 0 where none does."""

observers: list[Observer] = []
"""Of this process. Looked at before anything is measured for them."""


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Have somebody told until the block ends."""
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)


@contextmanager
def observed_llm_call(call: LlmCall) -> Iterator[None]:
    with ExitStack() as stack:
        for each in observers:
            stack.enter_context(each.llm_call(call))
        yield


@contextmanager
def observed_job(attempt: JobAttempt) -> Iterator[None]:
    """In a task of its own, whose log lines name the job and its trace."""
    job_id.set(attempt.id)
    traceparent.set(attempt.traceparent)
    with ExitStack() as stack:
        for each in observers:
            stack.enter_context(each.job(attempt))
        yield


def trace_id() -> str:
    """The number of the trace that this belongs to; empty where it belongs to none."""
    return traceparent.get()[3:35]
