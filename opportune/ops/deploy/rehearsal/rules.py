"""What a host does to a program, with its clocks as they are or scaled down to seconds."""

from dataclasses import dataclass

from opportune.config.hosts import Host
from opportune.ops.deploy.recipes import RECIPES

SCALED_IDLE_SECONDS = 1.5
SCALED_TOTAL_SECONDS = 1.5
SCALED_STOP_SECONDS, SCALED_GRACE_SECONDS = 10.0, 1.0
"""The server itself takes three to let go of its connections, and a machine that rehearses is busy. Answers have less
than they take: another process is to go on with them."""
MAX_TOTAL_SECONDS = 120.0
"""A rehearsal with the host's own clocks cuts a stream after that where the host would wait for longer."""
SILENCE_SECONDS = 20.0
"""Of a model in the middle of its answer, with the host's own clocks: longer than the site waits before it sends a sign
of life, and shorter than it waits for the model."""
WORD_COUNT, WORD_SECONDS = 40, 0.05
"""Of an answer, and between two of them."""
DATABASE_WAKE_SECONDS, SCALED_DATABASE_WAKE_SECONDS = 3.0, 1.0
START_TIMEOUT_SECONDS, SCALED_START_TIMEOUT_SECONDS = 60.0, 120.0
"""Seconds from the start of the process to the first good answer of its health check; a machine that rehearses has
other things to do."""


@dataclass(frozen=True)
class Rules:
    """The host's rules, as a rehearsal keeps them."""

    host: Host
    idle_seconds: float | None
    """Seconds of silence after which the proxy cuts a stream."""
    total_seconds: float | None
    """Seconds after which the router cuts any answer."""
    stop_seconds: float
    """Seconds from the signal to SIGKILL."""
    database_wake_seconds: float
    """Seconds for which a database that sleeps refuses who wants it awake."""
    start_seconds: float = START_TIMEOUT_SECONDS
    has_own_clocks: bool = False
    """Whether the seconds are the host's own, and its processor too."""

    @classmethod
    def of(cls, host: Host, *, full: bool = False) -> "Rules":
        """The host's own seconds, where our files ask for no others; or scaled down."""
        stop = RECIPES[host.name].stop_seconds or host.stop_seconds
        if full:
            total = min(host.stream_total_seconds or MAX_TOTAL_SECONDS, MAX_TOTAL_SECONDS)
            times = (host.stream_idle_seconds, host.stream_total_seconds and total, stop)
            return cls(host, *times, DATABASE_WAKE_SECONDS, has_own_clocks=True)
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
        """Seconds that answers have to end after the signal, scaled down."""
        return SCALED_GRACE_SECONDS if self.stop_seconds else 0.0

    @property
    def silence_seconds(self) -> float:
        """For which the model says nothing in the middle of its answer: scaled down, a stream is cut for that."""
        if self.idle_seconds is None:
            return 0.0
        return SILENCE_SECONDS if self.has_own_clocks else self.idle_seconds * 1.2

    @property
    def word_seconds(self) -> float:
        """Between two words of the model, so that an answer outlasts what the host gives a stream."""
        return max(WORD_SECONDS, (self.total_seconds or 0) * 1.2 / WORD_COUNT) if self.has_own_clocks else WORD_SECONDS

    @property
    def answer_seconds(self) -> float:
        """That an answer may take, also where two processes write it."""
        return 60 + 2 * (WORD_COUNT * self.word_seconds + self.silence_seconds)

    @property
    def keeps_all_writable(self) -> bool:
        """Whether the program may write wherever its user may."""
        return not self.host.writable_folders
