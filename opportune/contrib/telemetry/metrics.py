"""Metrics collected in a process (requests, model calls, jobs, event loop lag), in Prometheus' text format."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from time import perf_counter
from typing import Literal

from opportune.config.llm_models import MICRO_PER_UNIT
from opportune.contrib.telemetry.process import lag_seconds
from opportune.services.observers import KNOWN_METHODS, JobAttempt, LlmCall, ObservedRequest, Observer, route_template
from opportune.services.tasks import cancel_and_wait

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the family's name, labels, value."""

REQUEST_BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LLM_BOUNDS_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
JOB_BOUNDS_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800)
LAG_BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
LAG_INTERVAL_SECONDS = 1.0
"""Interval of measuring the event loop's lag."""


@dataclass
class Family:
    """Metric with its samples, which can be sent to another process as JSON."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    help: str
    samples: list[Sample] = field(default_factory=list)


class Counter:
    """Values by labels, which only increase."""

    def __init__(self, name: str, help_: str, *labels: str) -> None:
        self.name = name
        self.help = help_
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, amount: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def family(self) -> Family:
        samples: list[Sample] = [
            ("", dict(zip(self.labels, labels, strict=True)), value) for labels, value in self.values.items()
        ]
        return Family(self.name, "counter", self.help, samples)


class Histogram:
    """Distribution of durations: number of values up to each bound in seconds."""

    def __init__(self, name: str, help_: str, *labels: str, bounds: Sequence[float]) -> None:
        self.name = name
        self.help = help_
        self.labels = labels
        self.bounds = bounds
        self.counts: dict[tuple[str, ...], list[int]] = {}
        self.sums: dict[tuple[str, ...], float] = {}

    def observe(self, *labels: str, value: float) -> None:
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.bounds) + 1)
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] = self.sums.get(labels, 0) + value

    def family(self) -> Family:
        family = Family(self.name, "histogram", self.help)
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        for key, counts in self.counts.items():
            labels = dict(zip(self.labels, key, strict=True))
            cumulated = [*accumulate(counts)]
            family.samples += [
                ("_bucket", labels | {"le": bound}, count) for bound, count in zip(bounds, cumulated, strict=True)
            ]
            family.samples += [("_sum", labels, self.sums[key]), ("_count", labels, cumulated[-1])]
        return family


def gauge(name: str, help_: str, value: float, kind: Literal["counter", "gauge"] = "gauge", **labels: str) -> Family:
    """Return a family with a single sample."""
    return Family(name, kind, help_, [("", labels, value)])


def add_labels(families: Iterable[Family], **labels: str) -> list[Family]:
    return [
        replace(family, samples=[(suffix, {**old, **labels}, value) for suffix, old, value in family.samples])
        for family in families
    ]


def render_families(families: Iterable[Family]) -> str:
    """Render families. Families of several processes with the same name are joined."""
    joined: dict[str, Family] = {}
    for family in families:
        joined.setdefault(family.name, replace(family, samples=[])).samples.extend(family.samples)
    return "".join(f"{line}\n" for family in joined.values() for line in _family_lines(family))


def _family_lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for suffix, labels, value in family.samples:
        pairs = ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items())
        label_set = f"{{{pairs}}}" if pairs else ""
        yield f"{family.name}{suffix}{label_set} {value:.12g}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


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

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Measure the event loop's lag until the block ends."""
        task = asyncio.create_task(self._watch_lag(), name="watch the loop's lag")
        try:
            yield
        finally:
            await cancel_and_wait(task)

    async def _watch_lag(self) -> None:
        while True:
            self.lag.observe(value=await lag_seconds(LAG_INTERVAL_SECONDS))
