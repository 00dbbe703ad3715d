"""Runs uv or pip and shows the progress. Uses only the standard library."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from opportune.errors import OperatorError

UNFINISHED = "unfinished"
"""Marker file in .venv during an installation. If it remains, .venv is created again."""
LOG = "install.log"
PLAIN_PROGRESS_SECONDS = 10
"""Interval of progress lines without a terminal."""
POLL_SECONDS = 0.1
FULL_DISK_BYTES = 1_000_000
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|not enough space on the disk|\[Errno 28\]")
NO_PIP = re.compile("No module named '?pip")
NO_WHEEL = re.compile(
    r"has no (?:usable )?wheels|Wheels are (?:required|available) for|Failed to build|Failed building"
)
NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|invalid peer certificate")  # of pip and uv


class InstallError(OperatorError):
    """An installation failed."""


def run_installer(venv: Path, verb: str, target: str, command: list[str]) -> None:
    """Run an installer and write its output to the log."""
    (venv / UNFINISHED).touch()
    with (venv / LOG).open("wb") as log, ExitStack() as stack:
        with _delayed_interrupts():  # Ctrl-C before the callback is registered would leave the installer running
            installer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False)
            stack.callback(installer.kill)
        _show_progress(f"{verb} {target}", venv, installer)
    if installer.wait() >= 0:  # a negative code means a signal, after which the installation may be incomplete
        (venv / UNFINISHED).unlink()
    if installer.returncode:
        message = _last_line(venv).rstrip(".")
        raise InstallError(f"{verb} {target} failed: {message}. {_repair_hint(venv)} See the log: {venv / LOG}")


@contextmanager
def _delayed_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block."""
    received: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received and callable(handler):
        handler(received[0], None)


def _show_progress(label: str, venv: Path, installer: subprocess.Popen[bytes]) -> None:
    """Show the elapsed time until the installer ends: in one updated line on a terminal, otherwise in new lines."""
    if {"-q", "--quiet"} & set(sys.argv[1:]):
        installer.wait()
        return
    is_terminal = sys.stderr.isatty()
    started = printed = time.monotonic()
    if not is_terminal:
        echo(f"{label} ...")
    while installer.poll() is None:
        now = time.monotonic()
        line = f"{label}: {now - started:.0f} s"
        if is_terminal:
            _overwrite_line(f"{line}  {_last_line(venv)}")
        elif now - printed >= PLAIN_PROGRESS_SECONDS:
            echo(line)
            printed = now
        time.sleep(POLL_SECONDS)
    if is_terminal:
        _overwrite_line(f"{label}: {time.monotonic() - started:.0f} s")
        echo("")


def _overwrite_line(line: str) -> None:
    width = shutil.get_terminal_size().columns - 1
    echo("\r" + line[:width].ljust(width), end="")


def _last_line(venv: Path) -> str:
    """Return the last line of the installer's output."""
    lines = (venv / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _repair_hint(venv: Path) -> str:
    """Return advice about a failed installation."""
    log = (venv / LOG).read_text(encoding="utf-8", errors="replace")
    if NO_PIP.search(log):  # uv makes environments without pip
        return "This environment has no pip. Install uv, or run .venv/bin/python -m ensurepip, and try again."
    if DISK_FULL.search(log) or shutil.disk_usage(venv).free < FULL_DISK_BYTES:
        return "The disk is full. Free space for .venv, the installer's cache and TMPDIR, and try again."
    if NO_WHEEL.search(log):
        return "A package has no wheel for this platform, or cannot be compiled (oppman.py docs platforms)."
    if NOT_TRUSTED.search(log):
        return "If a proxy has its own certificate, set PIP_CERT (for uv SSL_CERT_FILE) to its file."
    return "Check the network connection."


def echo(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
