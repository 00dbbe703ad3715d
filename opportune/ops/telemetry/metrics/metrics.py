"""What a process counts while it works."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.ops.telemetry.metrics.families import Counter, Family, Histogram, gauge
from opportune.ops.telemetry.process import lag_seconds
from opportune.runtime.observers import JobAttempt, LlmCall, Observer
from opportune.runtime.tasks import cancel_and_wait

REQUEST_BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LLM_BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
JOB_BOUNDS_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800)
LAG_BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
LAG_INTERVAL_SECONDS = 1.0
"""Seconds between two looks at how late the event loop is."""


class Metrics(Observer):
    """The numbers of one process."""

    def __init__(self) -> None:
        self.in_flight = self.streams = 0
        self.requests = Counter("http_requests_total", "Requests that were answered.", "method", "route", "status")
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Time to the end of an answer, without streams.",
            *("method", "route"),
            bounds=REQUEST_BOUNDS_SECONDS,
        )
        self.llm_calls = Counter("opportune_llm_calls_total", "Calls of models by how they ended.", "model", "outcome")
        self.llm_tokens = Counter("opportune_llm_tokens_total", "Tokens of prompts and answers.", "model", "kind")
        self.llm_cost = Counter("opportune_llm_cost_total", "What they cost by the prices in LLM_MODELS.", "model")
        self.llm_first = Histogram(
            "opportune_llm_time_to_first_token_seconds",
            "Time to the first piece of an answer.",
            "model",
            bounds=LLM_BOUNDS_SECONDS,
        )
        self.llm_durations = Histogram(
            "opportune_llm_duration_seconds", "Time to the end of an answer.", "model", bounds=LLM_BOUNDS_SECONDS
        )
        self.jobs = Counter("opportune_job_attempts_total", "Attempts of jobs by how they ended.", "job", "outcome")
        self.job_durations = Histogram(
            "opportune_job_duration_seconds", "Time that an attempt of a job took.", "job", bounds=JOB_BOUNDS_SECONDS
        )
        self.lag = Histogram(
            "opportune_event_loop_lag_seconds",
            "By how much the event loop is late, looked at once a second.",
            bounds=LAG_BOUNDS_SECONDS,
        )

    @contextmanager
    def llm_call(self, call: LlmCall) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.llm_calls.add(call.model, call.error or "ok")
            self.llm_tokens.add(call.model, "prompt", amount=call.prompt_tokens)
            self.llm_tokens.add(call.model, "completion", amount=call.completion_tokens)
            self.llm_cost.add(call.model, amount=call.cost_micro / MICRO_PER_UNIT)
            self.llm_durations.observe(call.model, value=perf_counter() - began)
            if call.first_chunk_seconds is not None:
                self.llm_first.observe(call.model, value=call.first_chunk_seconds)

    @contextmanager
    def job(self, attempt: JobAttempt) -> Iterator[None]:
        began, outcome = perf_counter(), "ok"
        try:
            yield
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            outcome = "error"
            raise
        finally:
            self.jobs.add(attempt.name, outcome)
            self.job_durations.observe(attempt.name, value=perf_counter() - began)

    def families(self) -> Iterator[Family]:
        yield gauge("http_requests_in_flight", "Requests that are being answered, streams too.", self.in_flight)
        yield gauge("opportune_streams_open", "Answers that are streamed now.", self.streams)
        for each in (
            *(self.requests, self.durations, self.llm_calls, self.llm_tokens, self.llm_cost, self.llm_first),
            *(self.llm_durations, self.jobs, self.job_durations, self.lag),
        ):
            yield each.family()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the running loop until the block ends."""
        task = asyncio.create_task(self._watch_lag(), name="watch the loop's lag")
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _watch_lag(self) -> None:
        while True:
            self.lag.observe(value=await lag_seconds(LAG_INTERVAL_SECONDS))
