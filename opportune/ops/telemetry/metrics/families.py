"""Counters, histograms and gauges, and Prometheus' text format of them.

Written out here, as it is small: `prometheus_client` tells of several processes by files alone, which a read-only disk
does not take.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_SERIES = 1_000
"""Combinations of labels that a family may have in a process. What comes beyond them is counted as `other`."""
OTHER = "other"

Labels = tuple[str, ...]
Sample = tuple[str, Mapping[str, str], float]
"""What follows the family's name, labels, value."""


@dataclass
class Family:
    """Samples of one name, ready to be written or sent to another process."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    words: str
    samples: list[Sample] = field(default_factory=list)


class Counter:
    """A number by labels that only grows."""

    def __init__(self, name: str, words: str, *labels: str) -> None:
        self.name, self.words, self.labels = name, words, labels
        self.values: dict[Labels, float] = {}

    def add(self, *labels: str, amount: float = 1) -> None:
        values = self.values
        if labels not in values:
            labels = bounded(values, labels)
        values[labels] = values.get(labels, 0) + amount

    def family(self) -> Family:
        samples: list[Sample] = [
            ("", dict(zip(self.labels, labels, strict=True)), value) for labels, value in self.values.items()
        ]
        return Family(self.name, "counter", self.words, samples)


class Histogram:
    """How often a number, in seconds, was at most each bound."""

    def __init__(self, name: str, words: str, *labels: str, bounds: Sequence[float]) -> None:
        self.name, self.words, self.labels, self.bounds = name, words, labels, bounds
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def observe(self, *labels: str, value: float) -> None:
        counts = self.counts.get(labels)
        if counts is None:
            labels = bounded(self.counts, labels)
            counts = self.counts.setdefault(labels, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += 1
        self.sums[labels] = self.sums.get(labels, 0) + value

    def family(self) -> Family:
        family = Family(self.name, "histogram", self.words)
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        for key, counts in self.counts.items():
            labels = dict(zip(self.labels, key, strict=True))
            cumulated = [*accumulate(counts)]
            family.samples += [
                ("_bucket", labels | {"le": bound}, count) for bound, count in zip(bounds, cumulated, strict=True)
            ]
            family.samples += [("_sum", labels, self.sums[key]), ("_count", labels, cumulated[-1])]
        return family


def gauge(name: str, words: str, value: float, kind: Literal["counter", "gauge"] = "gauge", **labels: str) -> Family:
    """A family of one number, as it is now."""
    return Family(name, kind, words, [("", labels, value)])


def bounded(known: Mapping[Labels, object], labels: Labels) -> Labels:
    """New labels, or those of all that are too many."""
    return labels if len(known) < MAX_SERIES else (OTHER,) * len(labels)


def labelled(families: Iterable[Family], **labels: str) -> list[Family]:
    """The same with more labels."""
    return [
        Family(each.name, each.kind, each.words, [(end, {**own, **labels}, value) for end, own, value in each.samples])
        for each in families
    ]


def text_of(families: Iterable[Family]) -> str:
    """Prometheus' text format; families of one name, of several processes, become one."""
    joined: dict[str, Family] = {}
    for each in families:
        joined.setdefault(each.name, Family(each.name, each.kind, each.words)).samples.extend(each.samples)
    return "".join(f"{line}\n" for family in joined.values() for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {family.words}"
    yield f"# TYPE {family.name} {family.kind}"
    for end, labels, value in family.samples:
        inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
        yield f"{family.name}{end}{{{inside}}} {value:.12g}" if inside else f"{family.name}{end} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
