"""The process that runs the local model: one for all processes of the site on this machine.

Its standard input is a named pipe, which each of them holds open for writing; it ends when the last one lets go,
however that one ends. Whoever comes first starts it, under a lock, and leaves its address and key in a folder that only
the same user can read. Where there can be no such folder, each process has a model of its own.
"""

import hashlib
import logging
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO

from opportune.config.project import PROJECT
from opportune.llm.providers import libraries
from opportune.runtime.atomic_files import make_private_folder

logger = logging.getLogger(__name__)

SERVER_PROGRAM = Path(__file__).with_name("local_server.py")
STDERR_TIMEOUT_SECONDS = 5
"""Seconds for the last words of a program that has ended."""
LOCK_TIMEOUT_SECONDS = 60
"""Seconds in which another process may load the model."""
LOCK_POLL_SECONDS = 0.05
EXIT_TIMEOUT_SECONDS = 1.0
"""Seconds for the program to end with the last of us. If it does not, others use it."""

_left_running: list[subprocess.Popen[str]] = []
"""What we have started and others use. Python would complain of a process that nobody waits for."""


def shared_folder(weights: Path) -> Path | None:
    """The folder in which the site's processes find the model of these weights. None where there are no named pipes."""
    if sys.platform == "win32":
        return None
    name = hashlib.sha256(f"{PROJECT}\0{weights}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"opportune-llm-{os.getuid()}-{name}")


class LocalProcess:
    """One use of the process: `open` finds it or starts it, `close` lets go. Both block."""

    def __init__(self, weights: Path, folder: Path | None) -> None:
        self._weights = weights
        self._folder = folder
        self.address = ""
        self.key = ""
        self.fault = ""
        """Why it could not be started, and what to do."""
        self.process: subprocess.Popen[str] | None = None
        """It, if we have started it."""
        self._hold: int | None = None
        self._closing = Event()
        self._changing = Lock()

    def open(self) -> None:
        """Have `address` and `key`, or a `fault`."""
        try:
            if self._folder and make_private_folder(self._folder):
                self._join_or_start(self._folder)
            else:
                self._folder = None
                self._start(*os.pipe())
        except OSError as error:
            logger.warning("the local model's process: %s", error)
            self.fault = libraries.explain_exit(str(error))
        if self._closing.is_set():
            self.close()

    def close(self) -> None:
        """Let go of it, also while it is being started."""
        self._closing.set()
        with self._changing:
            hold, self._hold = self._hold, None
            process, self.process = self.process, None
        if hold is not None:
            os.close(hold)
        if process:
            _end(process, is_shared=bool(self._folder and self.address))
        if hold is not None and self._folder:
            self._remove_unused(self._folder)

    def is_alive(self) -> bool:
        if self._hold is None or (self.process and self.process.poll() is not None):
            return False
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(self._hold, 0)
        return not poll.poll(0)  # an error: nobody reads the pipe any more

    def _join_or_start(self, folder: Path) -> None:
        if sys.platform == "win32":
            return  # nothing is private there, so nobody comes here
        pipe, found = folder / "pipe", folder / "address"
        with self._locked(folder):
            with suppress(OSError):  # there is no pipe, or nobody reads it
                self._hold = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                self.address, self.key = found.read_text(encoding="utf-8").split()
                return
            found.unlink(missing_ok=True)
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe, 0o600)
            reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(reading, True)
            self._start(reading, os.open(pipe, os.O_WRONLY))
            if self.address:
                descriptor = os.open(found, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(f"{self.address} {self.key}")

    def _remove_unused(self, folder: Path) -> None:
        """Remove the folder, unless the process still runs for others or somebody starts one."""
        if sys.platform == "win32":  # each has its own
            return
        with suppress(OSError), self._locked(folder):
            try:
                os.close(os.open(folder / "pipe", os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody reads it
                shutil.rmtree(folder)

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        end = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while (file := _try_lock(folder / "lock")) is None:
            if time.monotonic() > end or self._closing.wait(LOCK_POLL_SECONDS):
                raise BlockingIOError("another process of the site is starting it")
        with file:
            yield

    def _start(self, reading: int, writing: int) -> None:
        """Start the program with this pipe for its standard input; it tells its address when the model is loaded."""
        self._hold, self.key = writing, secrets.token_urlsafe()
        with libraries.environment() as environ, os.fdopen(reading) as stdin:
            self.process = process = subprocess.Popen(
                [sys.executable, "-P", SERVER_PROGRAM, self._weights],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environ,
            )
            stdin.close()  # or the pipe would have a reader when the program has ended
            if self._closing.is_set():
                process.kill()
            assert process.stdout and process.stderr  # noqa: PT018 - for mypy: pipes
            errors = StderrReader(process.stderr)
            with suppress(BrokenPipeError):  # it has ended already, and says why
                os.write(writing, f"{self.key}\n".encode())
            self.address = process.stdout.readline().strip()
        self.fault = "" if self.address else libraries.explain_exit(errors.last_words())


def _try_lock(path: Path) -> IO[str] | None:
    """The file, locked until it is closed; None while another process has it, or as one removes it."""
    if sys.platform == "win32":
        raise NotImplementedError
    import fcntl

    make_private_folder(path.parent)
    with suppress(FileNotFoundError, BlockingIOError), ExitStack() as stack:
        file = stack.enter_context(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(path.stat(), os.fstat(file.fileno())):
            stack.pop_all()
            return file
    return None


class StderrReader:
    """Hands what the program writes to its standard error on to the log, for as long as it runs."""

    def __init__(self, stream: IO[str]) -> None:
        self._last: deque[str] = deque(maxlen=1)
        self._thread = Thread(target=self._hand_on, args=(stream,), name="errors of the local model", daemon=True)
        self._thread.start()

    def _hand_on(self, stream: IO[str]) -> None:
        with suppress(ValueError), stream:  # it is closed, since the program has to end
            for line in stream:
                logger.warning("the local model: %s", line.rstrip())
                self._last.append(line)

    def last_words(self) -> str:
        """The last line that the program wrote before it ended."""
        self._thread.join(STDERR_TIMEOUT_SECONDS)
        return "".join(self._last)


def _end(process: subprocess.Popen[str], *, is_shared: bool) -> None:
    if is_shared:
        try:
            process.wait(EXIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            _left_running.append(process)
            if process.stdout:
                process.stdout.close()
            return
    with process:
        process.kill()
