"""Time limits of a host, scaled down to seconds."""

from dataclasses import dataclass

from opportune.config.hosts import Host
from opportune.contrib.deploy.recipes import RECIPES

IDLE_SECONDS = 1.5
TOTAL_SECONDS = 1.5
STOP_SECONDS, GRACE_SECONDS = 10.0, 1.0
"""The server needs about three seconds to close its connections. Answers have less time than they need, so that
another process has to continue them."""
WORD_COUNT, WORD_SECONDS = 40, 0.05
"""Words of an answer, and time between two words."""
DATABASE_WAKE_SECONDS = 1.0
START_TIMEOUT_SECONDS = 120.0
"""Time from the start of a process until its health check succeeds. This machine may be busy."""


@dataclass(frozen=True)
class Rules:
    """Time limits of a host in a rehearsal."""

    host: Host
    idle_seconds: float | None
    """Silence after which the proxy closes a stream."""
    total_seconds: float | None
    """Longest duration of a stream."""
    stop_seconds: float
    """Time from the stop signal to SIGKILL."""
    database_wake_seconds: float = DATABASE_WAKE_SECONDS
    """Time in which a sleeping database refuses connections."""
    start_seconds: float = START_TIMEOUT_SECONDS

    @classmethod
    def for_host(cls, host: Host) -> "Rules":
        stop = RECIPES[host.name].stop_seconds or host.stop_seconds
        return cls(
            host,
            host.stream_idle_seconds and IDLE_SECONDS,
            host.stream_total_seconds and TOTAL_SECONDS,
            min(stop, STOP_SECONDS),
        )

    @property
    def grace_seconds(self) -> float:
        """Time in which answers can end after the stop signal."""
        return GRACE_SECONDS if self.stop_seconds else 0.0

    @property
    def silence_seconds(self) -> float:
        """Pause of the model in the middle of its answer, in which the proxy closes the stream."""
        return (self.idle_seconds or 0.0) * 1.2

    @property
    def answer_seconds(self) -> float:
        """Timeout of an answer, even if two processes write it."""
        return 60 + 2 * (WORD_COUNT * WORD_SECONDS + self.silence_seconds)

    @property
    def is_writable(self) -> bool:
        """The whole disk is writable."""
        return not self.host.writable_folders
