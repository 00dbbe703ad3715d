"""Process of the local model, shared by all processes of the site on this machine.

The first process starts it under a lock and writes its address and key into a folder that only the same user can read.
Its standard input is a named pipe that each process keeps open for writing. It exits when the last one closes the pipe
or dies. Without such a folder, each process starts a separate model.
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

from opportune.contrib.llm.providers import libraries
from opportune.project.atomic_files import make_private_folder
from opportune.project.layout import PROJECT

logger = logging.getLogger(__name__)

SERVER_PROGRAM = Path(__file__).with_name("local_server.py")
STDERR_TIMEOUT_SECONDS = 5
"""Time to read the remaining error output after the program has ended."""
LOCK_TIMEOUT_SECONDS = 60
"""Time for another process to load the model."""
LOCK_POLL_SECONDS = 0.05
EXIT_TIMEOUT_SECONDS = 1.0
"""Time for the program to exit. If it does not, other processes still use it."""

_still_running: list[subprocess.Popen[str]] = []
"""Programs started here and still used by other processes. The reference avoids Python's ResourceWarning."""


def shared_folder(weights: Path) -> Path | None:
    """Return the folder shared by the site's processes for these weights; None without named pipes (Windows)."""
    if sys.platform == "win32":
        return None
    name = hashlib.sha256(f"{PROJECT}\0{weights}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"opportune-llm-{os.getuid()}-{name}")


class LocalProcess:
    """Handle of the shared process: `open` finds or starts it, `close` releases it. Both block."""

    def __init__(self, weights: Path, folder: Path | None) -> None:
        self._weights = weights
        self._folder = folder
        self.address = ""
        self.key = ""
        self.fault = ""
        """Reason of a failed start, and what to do."""
        self.process: subprocess.Popen[str] | None = None
        """Set only if this process has started it."""
        self._pipe: int | None = None
        self._closing = Event()
        self._state_lock = Lock()

    def open(self) -> None:
        """Set `address` and `key`, or `fault`."""
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
        """Release the process. May be called while it is being started."""
        self._closing.set()
        with self._state_lock:
            pipe, self._pipe = self._pipe, None
            process, self.process = self.process, None
        if pipe is not None:
            os.close(pipe)
        if process:
            _end_process(process, is_shared=bool(self._folder and self.address))
        if pipe is not None and self._folder:
            self._remove_unused_folder(self._folder)

    def is_alive(self) -> bool:
        if self._pipe is None or (self.process and self.process.poll() is not None):
            return False
        if sys.platform == "win32":
            return True
        poll = select.poll()
        poll.register(self._pipe, 0)
        return not poll.poll(0)  # an error event means that the pipe has no reader

    def _join_or_start(self, folder: Path) -> None:
        if sys.platform == "win32":
            return  # for mypy: there are no private folders on Windows
        pipe, address_file = folder / "pipe", folder / "address"
        with self._lock_folder(folder):
            with suppress(OSError):  # the pipe does not exist or has no reader
                self._pipe = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
                self.address, self.key = address_file.read_text(encoding="utf-8").split()
                return
            address_file.unlink(missing_ok=True)
            pipe.unlink(missing_ok=True)
            os.mkfifo(pipe, 0o600)
            read_end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(read_end, True)
            self._start(read_end, os.open(pipe, os.O_WRONLY))
            if self.address:
                descriptor = os.open(address_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(f"{self.address} {self.key}")

    def _remove_unused_folder(self, folder: Path) -> None:
        """Remove the folder, unless another process uses or starts the model."""
        if sys.platform == "win32":
            return
        with suppress(OSError), self._lock_folder(folder):
            try:
                os.close(os.open(folder / "pipe", os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # the pipe has no reader
                shutil.rmtree(folder)

    @contextmanager
    def _lock_folder(self, folder: Path) -> Iterator[None]:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while (file := _try_lock(folder / "lock")) is None:
            if time.monotonic() > deadline or self._closing.wait(LOCK_POLL_SECONDS):
                raise BlockingIOError("another process of the site is starting it")
        with file:
            yield

    def _start(self, read_end: int, write_end: int) -> None:
        """Start the program with this pipe as standard input. It prints its address after loading the model."""
        self._pipe, self.key = write_end, secrets.token_urlsafe()
        with libraries.environment() as environ, os.fdopen(read_end) as stdin:
            self.process = process = subprocess.Popen(
                [sys.executable, "-P", SERVER_PROGRAM, self._weights],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environ,
            )
            stdin.close()  # otherwise the pipe would still have a reader after the program has ended
            if self._closing.is_set():
                process.kill()
            assert process.stdout
            assert process.stderr
            errors = StderrReader(process.stderr)
            with suppress(BrokenPipeError):  # the program has ended; its error output has the reason
                os.write(write_end, f"{self.key}\n".encode())
            self.address = process.stdout.readline().strip()
        self.fault = "" if self.address else libraries.explain_exit(errors.last_line())


def _try_lock(path: Path) -> IO[str] | None:
    """Return the file, locked until it is closed; None if another process has locked or is removing it."""
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


def _end_process(process: subprocess.Popen[str], *, is_shared: bool) -> None:
    if is_shared:
        try:
            process.wait(EXIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            _still_running.append(process)
            if process.stdout:
                process.stdout.close()
            return
    with process:
        process.kill()
