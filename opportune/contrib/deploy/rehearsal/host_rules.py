"""Rules of a host in a rehearsal: its disk, and its time limits, which are shortened to seconds."""

from dataclasses import dataclass

from opportune.config.hosts import Host
from opportune.contrib.deploy.recipes import RECIPES

IDLE_SECONDS = 1.5
TOTAL_SECONDS = 1.5
MAX_STOP_SECONDS = 10.0
"""The server needs about three seconds of them to close its connections."""
GRACE_SECONDS = 1.0
"""Less time than answers need, so that another process has to continue them."""
WORD_COUNT = 40
"""Words of an answer."""
WORD_SECONDS = 0.05
"""Time between two words of the model."""
DATABASE_WAKE_SECONDS = 1.0
"""Time in which a sleeping database refuses connections."""
START_TIMEOUT_SECONDS = 120.0
"""Time from the start of a process until its health check succeeds. This machine may be busy."""


@dataclass(frozen=True)
class HostRules:
    host: Host
    start_seconds: float = START_TIMEOUT_SECONDS

    @property
    def idle_seconds(self) -> float | None:
        """Silence after which the proxy closes a stream."""
        return IDLE_SECONDS if self.host.stream_idle_seconds else None

    @property
    def total_seconds(self) -> float | None:
        """Longest duration of a stream."""
        return TOTAL_SECONDS if self.host.stream_total_seconds else None

    @property
    def stop_seconds(self) -> float:
        """Time from the stop signal to SIGKILL."""
        return min(RECIPES[self.host.name].stop_seconds or self.host.stop_seconds, MAX_STOP_SECONDS)

    @property
    def grace_seconds(self) -> float:
        """Time in which answers can end after the stop signal."""
        return GRACE_SECONDS if self.stop_seconds else 0.0

    @property
    def silence_seconds(self) -> float:
        """Pause of the model in the middle of its answer, so that the proxy closes the stream."""
        return (self.idle_seconds or 0.0) * 1.2

    @property
    def answer_seconds(self) -> float:
        """Timeout of an answer, even if two processes write it."""
        return 60 + 2 * (WORD_COUNT * WORD_SECONDS + self.silence_seconds)

    @property
    def is_writable(self) -> bool:
        """The whole disk is writable."""
        return not self.host.writable_folders
