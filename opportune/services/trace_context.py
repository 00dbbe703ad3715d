"""The trace and the job that the current code belongs to, for log lines and queued jobs."""

from contextvars import ContextVar

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""W3C header of the trace that this request or job belongs to; empty outside traces."""
job_id: ContextVar[int] = ContextVar("job_id", default=0)
"""Id of the running job; 0 outside jobs."""


def trace_id() -> str:
    """Return the id of the current trace; empty outside traces."""
    _version, _, ids = traceparent.get().partition("-")
    return ids.partition("-")[0]
