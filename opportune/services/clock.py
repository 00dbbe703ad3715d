"""The time of this process. If the clock of its machine is wrong, it is the time of the database server."""

import logging
import time

logger = logging.getLogger(__name__)

MAX_DIFFERENCE_SECONDS = 5
"""Difference above which the clock of the machine is wrong. Smaller ones cause no faults."""
MAX_DELAY_SECONDS = 1
"""Delay above which a response of the server may be less exact than an earlier one."""


class Clock:
    """The clock of this process. Processes of a site compare stored times, so their clocks must agree."""

    _started_at: float | None = None
    """Time of the server when the monotonic clock was zero. None if the clock of this machine is right."""

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time() if self._started_at is None else self._started_at + time.monotonic()

    def compare(self, server_time: float, delay_seconds: float) -> None:
        """Follow the time that a server has sent, if it differs from that of this machine.

        Args:
            delay_seconds: Maximum age of this time. One older than `MAX_DELAY_SECONDS` only counts if it is the first
                that shows a wrong clock: the first connection of a busy machine may be slow.
        """
        difference = server_time - time.time()
        is_wrong = abs(difference) > MAX_DIFFERENCE_SECONDS + delay_seconds
        is_first_fault = is_wrong and self._started_at is None
        if delay_seconds > MAX_DELAY_SECONDS and not is_first_fault:
            return
        if is_first_fault:
            message = "the clock of this machine differs by %d s from the database's, which is used. Synchronize both."
            logger.warning(message, difference)
        self._started_at = server_time - time.monotonic() if is_wrong else None


clock = Clock()
