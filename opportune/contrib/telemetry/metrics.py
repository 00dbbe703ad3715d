"""Metrics collected in a process: requests, model calls, jobs, event loop lag."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from time import perf_counter

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.telemetry.process import lag_seconds
from opportune.contrib.telemetry.prometheus import Counter, Family, Histogram, gauge
from opportune.contrib.telemetry.routes import route_template
from opportune.services.observers import KNOWN_METHODS, JobAttempt, LlmCall, ObservedRequest, Observer
from opportune.services.tasks import running

REQUEST_BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LLM_BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
JOB_BOUNDS_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800)
LAG_BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
LAG_INTERVAL_SECONDS = 1.0
"""Interval at which the lag of the event loop is measured."""


class Metrics(Observer):
    """Counters and histograms. Clients cannot invent labels, so routes, models and jobs limit the number of series."""

    def __init__(self) -> None:
        self.active = set[ObservedRequest]()
        self.requests = Counter("http_requests_total", "Handled requests.", "method", "route", "status")
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Duration of requests, without event streams.",
            "method",
            "route",
            bounds=REQUEST_BOUNDS_SECONDS,
        )
        self.llm_calls = Counter("opportune_llm_calls_total", "Model calls by outcome.", "model", "outcome")
        self.llm_tokens = Counter("opportune_llm_tokens_total", "Tokens of prompts and completions.", "model", "kind")
        self.llm_cost = Counter("opportune_llm_cost_total", "Cost of model calls by the prices in LLM_MODELS.", "model")
        self.llm_first_chunk = Histogram(
            "opportune_llm_time_to_first_token_seconds",
            "Time to the first chunk of an answer.",
            "model",
            bounds=LLM_BOUNDS_SECONDS,
        )
        self.llm_durations = Histogram(
            "opportune_llm_duration_seconds", "Duration of model calls.", "model", bounds=LLM_BOUNDS_SECONDS
        )
        self.jobs = Counter("opportune_job_attempts_total", "Attempts of jobs by outcome.", "job", "outcome")
        self.job_durations = Histogram(
            "opportune_job_duration_seconds", "Duration of attempts of jobs.", "job", bounds=JOB_BOUNDS_SECONDS
        )
        self.lag = Histogram(
            "opportune_event_loop_lag_seconds",
            "Delay of the event loop, measured once a second.",
            bounds=LAG_BOUNDS_SECONDS,
        )

    @contextmanager
    def request(self, request: ObservedRequest) -> Iterator[None]:
        """Count by route template, because paths would create a series for each row."""
        start = perf_counter()
        self.active.add(request)
        try:
            yield
        finally:
            self.active.discard(request)
            method = request.scope["method"] if request.scope["method"] in KNOWN_METHODS else "other"
            route = route_template(request.scope)
            self.requests.add(method, route, str(request.status or "cut"))
            if not request.is_stream:
                self.durations.observe(method, route, value=perf_counter() - start)

    @contextmanager
    def llm_call(self, call: LlmCall) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.llm_calls.add(call.model, call.error or "ok")
            self.llm_tokens.add(call.model, "prompt", amount=call.prompt_tokens)
            self.llm_tokens.add(call.model, "completion", amount=call.completion_tokens)
            self.llm_cost.add(call.model, amount=call.cost_micro / MICRO_PER_UNIT)
            self.llm_durations.observe(call.model, value=perf_counter() - start)
            if call.first_chunk_seconds is not None:
                self.llm_first_chunk.observe(call.model, value=call.first_chunk_seconds)

    @contextmanager
    def job(self, attempt: JobAttempt) -> Iterator[None]:
        start = perf_counter()
        outcome = "ok"
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
            self.job_durations.observe(attempt.name, value=perf_counter() - start)

    def families(self) -> Iterator[Family]:
        """Yield the gauges, and all counters and histograms among the attributes."""
        yield gauge("http_requests_in_flight", "Requests in progress, including event streams.", len(self.active))
        streams = sum(request.is_stream for request in self.active)
        yield gauge("opportune_streams_open", "Open event streams.", streams)
        for attribute in vars(self).values():
            if isinstance(attribute, Counter | Histogram):
                yield attribute.family()

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Measure the event loop's lag until the block ends."""
        return running(self._watch_lag(), "watch the loop's lag")

    async def _watch_lag(self) -> None:
        while True:
            self.lag.observe(value=await lag_seconds(LAG_INTERVAL_SECONDS))
