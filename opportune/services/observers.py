"""Observers of requests, calls to language models and jobs, such as metrics and traces."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from opportune.services.trace_context import job_id, traceparent

KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""Methods to tell apart. Clients can invent others, which are counted together."""


@dataclass(slots=True, eq=False)
class ObservedRequest:
    """A request in progress. Its fields are updated while it runs."""

    scope: MutableMapping[str, Any]
    """ASGI scope, which gets the route."""
    status: int = 0
    """0 until the response begins."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Headers of the response."""

    @property
    def is_stream(self) -> bool:
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)


@dataclass(slots=True)
class LlmCall:
    """A call of a language model. Its fields are updated while it runs."""

    model: str
    """Name that users see."""
    endpoint_model: str = ""
    """Name at the endpoint."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micro: int = 0
    first_chunk_seconds: float | None = None
    """None if no chunk arrived."""
    error: str = ""
    """Code of the error that ended the call; `stopped` if the reader left."""


class JobAttempt(NamedTuple):
    """One attempt of a job."""

    id: int
    name: str
    number: int
    """1 for the first."""
    traceparent: str = ""
    """W3C header of the request that queued it; empty if that request was not traced."""


class Observer:
    """Base class of observers. Each method returns a context manager that surrounds the observed work."""

    def request(self, request: ObservedRequest) -> AbstractContextManager[None]:
        del request
        return nullcontext()

    def llm_call(self, call: LlmCall) -> AbstractContextManager[None]:
        """Observe a call. The context may be exited in a different task than it was entered in."""
        del call
        return nullcontext()

    def job(self, attempt: JobAttempt) -> AbstractContextManager[None]:
        del attempt
        return nullcontext()

    def job_queued(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Observe a job that is queued in a transaction."""


observers: list[Observer] = []
"""Observers of this process. Nothing is measured while the list is empty."""


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Register an observer until the block ends."""
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)


def observed_request(request: ObservedRequest) -> AbstractContextManager[object]:
    return _observed(observer.request(request) for observer in observers)


def observed_llm_call(call: LlmCall) -> AbstractContextManager[object]:
    return _observed(observer.llm_call(call) for observer in observers)


def observed_job(attempt: JobAttempt) -> AbstractContextManager[object]:
    """Observe a job. Call this in a new task, because it sets the task's context variables for log lines."""
    job_id.set(attempt.id)
    traceparent.set(attempt.traceparent)
    return _observed(observer.job(attempt) for observer in observers) if observers else nullcontext()


def _observed(contexts: Iterable[AbstractContextManager[None]]) -> AbstractContextManager[object]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        return stack.pop_all()
