"""Rules of a host in a rehearsal: its disk, and its time limits, which are the real ones or scaled to seconds."""

from dataclasses import dataclass
from typing import Self

from opportune.config.hosts import Host
from opportune.contrib.deploy.recipes import RECIPES

SCALED_IDLE_SECONDS = 1.5
SCALED_TOTAL_SECONDS = 1.5
SCALED_STOP_SECONDS = 10.0
"""The server needs about three seconds of them to close its connections."""
SCALED_GRACE_SECONDS = 1.0
"""Less time than answers need, so that another process has to continue them."""
MAX_TOTAL_SECONDS = 120.0
"""Upper limit of a stream's duration with the host's real limits."""
SILENCE_SECONDS = 20.0
"""Pause of the model with the host's real limits: longer than the interval of keep-alive events, shorter than the
timeout of the model."""
WORD_COUNT = 40
"""Words of an answer."""
WORD_SECONDS = 0.05
"""Time between two words."""
DATABASE_WAKE_SECONDS = 3.0
SCALED_DATABASE_WAKE_SECONDS = 1.0
START_TIMEOUT_SECONDS = 60.0
"""Time from the start of a process until its health check succeeds."""
SCALED_START_TIMEOUT_SECONDS = 120.0
"""Longer than the real one, because this machine may be busy."""


@dataclass(frozen=True)
class HostRules:
    host: Host
    idle_seconds: float | None
    """Silence after which the proxy closes a stream."""
    total_seconds: float | None
    """Longest duration of a stream."""
    stop_seconds: float
    """Time from the stop signal to SIGKILL."""
    database_wake_seconds: float
    """Time in which a sleeping database refuses connections."""
    start_seconds: float = START_TIMEOUT_SECONDS
    is_full: bool = False
    """The limits are the host's real ones, including its processor."""

    @classmethod
    def for_host(cls, host: Host, *, full: bool = False) -> Self:
        """Return the host's limits, or scaled ones unless `full`."""
        stop = RECIPES[host.name].stop_seconds or host.stop_seconds
        if full:
            total = host.stream_total_seconds and min(host.stream_total_seconds, MAX_TOTAL_SECONDS)
            return cls(host, host.stream_idle_seconds, total, stop, DATABASE_WAKE_SECONDS, is_full=True)
        return cls(
            host,
            host.stream_idle_seconds and SCALED_IDLE_SECONDS,
            host.stream_total_seconds and SCALED_TOTAL_SECONDS,
            min(stop, SCALED_STOP_SECONDS),
            SCALED_DATABASE_WAKE_SECONDS,
            SCALED_START_TIMEOUT_SECONDS,
        )

    @property
    def grace_seconds(self) -> float:
        """Scaled time in which answers can end after the stop signal."""
        return SCALED_GRACE_SECONDS if self.stop_seconds else 0.0

    @property
    def silence_seconds(self) -> float:
        """Pause of the model in the middle of its answer. If scaled, the proxy closes the stream."""
        if self.idle_seconds is None:
            return 0.0
        return SILENCE_SECONDS if self.is_full else self.idle_seconds * 1.2

    @property
    def word_seconds(self) -> float:
        """Time between two words of the model, so that an answer takes longer than the host's limit of a stream."""
        return max(WORD_SECONDS, (self.total_seconds or 0) * 1.2 / WORD_COUNT) if self.is_full else WORD_SECONDS

    @property
    def answer_seconds(self) -> float:
        """Timeout of an answer, even if two processes write it."""
        return 60 + 2 * (WORD_COUNT * self.word_seconds + self.silence_seconds)

    @property
    def is_writable(self) -> bool:
        """The whole disk is writable."""
        return not self.host.writable_folders
