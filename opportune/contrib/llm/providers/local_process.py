"""Process of the local model. It ends with the process of the site, also if that is killed."""

import logging
import os
import secrets
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO

from opportune.contrib.llm.providers import libraries

logger = logging.getLogger(__name__)

SERVER_PROGRAM = Path(__file__).with_name("local_server.py")
STDERR_TIMEOUT_SECONDS = 5
"""Time to read the remaining error output after the program has ended."""


class LocalProcess:
    """Handle of the process: `open` starts it, `close` ends it. Both block."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._is_closing = False
        self.url = ""
        self.key = secrets.token_urlsafe()
        self.fault = ""
        """Reason of a failed start, and what to do."""
        self.program: subprocess.Popen[str] | None = None

    def open(self) -> None:
        """Set `url` or `fault`, when the model is loaded."""
        try:
            self._start()
        except OSError as error:
            logger.warning("the local model's process: %s", error)
            self.fault = libraries.explain_exit(str(error))
        if self._is_closing:
            self.close()

    def close(self) -> None:
        """End the process. May be called while it is being started."""
        self._is_closing = True
        if self.program:
            with self.program:
                self.program.kill()

    def is_alive(self) -> bool:
        return self.program is not None and self.program.poll() is None

    def _start(self) -> None:
        """Start the program, which reads the key from its standard input and prints its URL."""
        pipe = subprocess.PIPE
        with libraries.environment() as environ:
            self.program = program = subprocess.Popen(
                [sys.executable, "-P", SERVER_PROGRAM, self._weights],
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                text=True,
                errors="replace",
                env=environ,
            )
            if self._is_closing:
                program.kill()
            assert program.stdin
            assert program.stdout
            assert program.stderr
            errors = StderrReader(program.stderr)
            with suppress(BrokenPipeError):  # the program has ended; its error output has the reason
                os.write(program.stdin.fileno(), f"{self.key}\n".encode())
            self.url = program.stdout.readline().strip()
        self.fault = "" if self.url else libraries.explain_exit(errors.last_line())


class StderrReader:
    """Copies the standard error of the program to the log."""

    def __init__(self, stream: IO[str]) -> None:
        self._last_line: deque[str] = deque(maxlen=1)
        self._thread = Thread(target=self._copy, args=(stream,), name="errors of the local model", daemon=True)
        self._thread.start()

    def _copy(self, stream: IO[str]) -> None:
        with suppress(ValueError), stream:  # ValueError: closed when the program is killed
            for line in stream:
                logger.warning("the local model: %s", line.rstrip())
                self._last_line.append(line)

    def last_line(self) -> str:
        self._thread.join(STDERR_TIMEOUT_SECONDS)
        return "".join(self._last_line)
