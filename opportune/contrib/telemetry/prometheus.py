"""Counters, histograms and gauges in Prometheus' text format."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the family's name, labels, value."""


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
        counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
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
