"""Counters of the cache."""

from dataclasses import astuple, dataclass


@dataclass
class Counts:
    """Number of reads of this process, by the source of their entry."""

    fresh: int = 0
    stale: int = 0
    shared: int = 0
    """Requests that waited for the build of another request."""
    built: int = 0
    bypassed: int = 0
    """Requests that bypass the cache, such as those with a cookie."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def hits(self) -> int:
        return self.fresh + self.stale + self.shared

    @property
    def rate(self) -> float | None:
        """Share of requests served without a build, from 0 to 1. None before the first request."""
        return self.hits / (self.hits + self.built) if self.hits + self.built else None
