"""A running process of the site: its output, memory and stop signal."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

POLL_SECONDS = 0.05
RETRY_SECONDS = 0.3
KILL_TIMEOUT_SECONDS = 10.0


@dataclass
class Instance:
    """Process of the site with its own port."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    offset: int
    """Start of its output in the log."""
    started: float = field(default_factory=time.monotonic)
    was_killed: bool = False
    is_frozen: bool = False
    peak_memory_bytes: int = 0

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.offset)
            return log.read().decode(errors="replace")

    @property
    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "no output"

    def freeze(self, is_frozen: bool) -> None:
        """Pause or continue the process, like a host that runs nothing between requests."""
        if sys.platform != "win32" and is_frozen != self.is_frozen and self.is_running:
            self.is_frozen = is_frozen
            os.killpg(self.process.pid, signal.SIGSTOP if is_frozen else signal.SIGCONT)

    def measure_memory(self) -> None:
        """Update the peak memory."""
        with suppress(OSError):
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
            if match := re.search(r"VmHWM:\s*(\d+) kB", status):
                self.peak_memory_bytes = max(self.peak_memory_bytes, int(match[1]) * 1024)

    async def stop(self, signal_name: str, timeout_seconds: float) -> float:
        """Send a signal, and kill the process if it has not ended after the timeout. Return the duration in seconds."""
        start = time.monotonic()
        self.measure_memory()
        self.freeze(False)
        if self.is_running:
            self.process.send_signal(signal.Signals[signal_name])
        deadline = time.monotonic() + timeout_seconds
        while self.is_running and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes have no event
            await asyncio.sleep(POLL_SECONDS)
        self.was_killed = self.is_running
        self.kill()
        return time.monotonic() - start

    def kill(self) -> None:
        """Kill the process and its children."""
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # already ended
                os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(KILL_TIMEOUT_SECONDS)
