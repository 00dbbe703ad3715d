"""Runs uv or pip and shows the progress. Uses only the standard library."""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

UNFINISHED = "unfinished"
"""Marker file in .venv during an installation. If it remains, .venv is created again."""
LOG = "install.log"
PLAIN_PROGRESS_SECONDS = 10
"""Interval of progress lines without a terminal."""
POLL_SECONDS = 0.1
BAR_COLUMNS = 20
FULL_DISK_BYTES = 1_000_000
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|not enough space on the disk|\[Errno 28\]")
NO_PIP = re.compile("No module named '?pip")
NO_WHEEL = re.compile(
    r"has no (?:usable )?wheels|Wheels are (?:required|available) for|Failed to build|Failed building"
)
NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|invalid peer certificate")  # of pip and uv


class InstallError(Exception):
    """An installation failed. The message is one line for the user."""


def run_installer(venv: Path, verb: str, target: str, command: list[str]) -> None:
    """Run an installer and write its output to the log.

    Raises:
        InstallError: the installer failed. The message contains its last line.
    """
    (venv / UNFINISHED).touch()
    with (venv / LOG).open("wb") as log, ExitStack() as stack:
        with delayed_interrupts():  # Ctrl-C before the callback is registered would leave the installer running
            installer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False)
            stack.callback(installer.kill)
        show_progress(Progress(venv, verb, target), installer)
    if installer.wait() >= 0:  # a negative code means a signal, after which the installation may be incomplete
        (venv / UNFINISHED).unlink()
    if installer.returncode:
        message = last_line(venv).rstrip(".")
        raise InstallError(f"{verb} {target} failed: {message}. {repair_hint(venv)} See the log: {venv / LOG}")


@contextmanager
def delayed_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block."""
    received: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if received and callable(handler):
        handler(received[0], None)


class Progress:
    """Progress of an installer, from its log and from the packages in .venv."""

    def __init__(self, venv: Path, verb: str, target: str) -> None:
        self.venv, self.verb, self.target = venv, verb, target
        self.started = time.monotonic()
        lock = venv.parent / target
        text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
        pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
        self.pins = {(normalize_name(name), version) for name, version in pins}
        self.phase = ("", 0, self.started)
        """Name of the current step, the number of packages when it began, and the time when it began."""

    def __str__(self) -> str:
        return self.line()

    def line(self, bar: int = 0) -> str:
        """Return the progress, with a bar of this many columns."""
        now = time.monotonic()
        seconds = f"{now - self.started:.0f} s"
        if not self.pins:
            return f"{self.verb} {self.target}: {seconds}"
        verb, done, total = self.count()
        if verb != self.phase[0]:
            self.phase = (verb, done, now)
        filled = bar * done // max(total, 1)
        drawn = f"[{'#' * filled}{'-' * (bar - filled)}] " if bar else ""
        return f"{verb} {self.target}: {drawn}{done} of {total} packages, {seconds}{self.time_left(done, total, now)}"

    def time_left(self, done: int, total: int, now: float) -> str:
        """Return the estimated remaining time of the current step; empty if unknown."""
        _, before, start = self.phase
        if not before < done < total:
            return ""
        return f", about {(now - start) / (done - before) * (total - done):.0f} s left"

    def count(self) -> tuple[str, int, int]:
        """Return the current step, its number of finished packages, and the total on this machine."""
        log = (self.venv / LOG).read_text(encoding="utf-8", errors="replace")
        if re.search("^(?:Audited|Checked) ", log, re.MULTILINE):  # uv found all packages installed
            complete = len(self.pins & installed_packages(self.venv))
            return self.verb, complete, complete
        resolved = re.search(r"^Resolved (\d+) package", log, re.MULTILINE)  # of uv
        total = int(resolved[1]) if resolved else len(self.pins) - len(re.findall("^Ignoring ", log, re.MULTILINE))
        fetched = len(re.findall("^(?:Collecting|Requirement already satisfied)", log, re.MULTILINE))
        if 0 < fetched < total and "\nInstalling collected packages" not in log:
            return "Downloading", fetched, total  # pip downloads all packages before it installs the first
        return self.verb, min(len(self.pins & installed_packages(self.venv)), total), total


def installed_packages(venv: Path) -> set[tuple[str, str]]:
    """Return the names and versions of the packages in .venv."""
    site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))
    folders = (path.name.removesuffix(".dist-info") for path in site_packages.glob("*.dist-info"))
    return {(normalize_name(name), version) for name, _, version in (folder.partition("-") for folder in folders)}


def normalize_name(name: str) -> str:
    """Return the normalized name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def show_progress(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    """Show the progress: an updated line on a terminal, otherwise new lines."""
    if {"-q", "--quiet"} & set(sys.argv[1:]):
        installer.wait()
    elif sys.stderr.isatty():
        show_progress_on_terminal(progress, installer)
    else:
        print_progress(progress, installer)


def show_progress_on_terminal(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    while installer.poll() is None:
        overwrite_line(f"{progress.line(BAR_COLUMNS)}  {last_line(progress.venv)}")
        time.sleep(POLL_SECONDS)
    overwrite_line(str(progress))
    echo("")


def print_progress(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    """Print a line every few seconds if the count has changed, and one at the end."""
    echo(f"{progress.verb} {progress.target} ...")
    printed, count = time.monotonic(), progress.count()
    while installer.poll() is None:
        if time.monotonic() - printed >= PLAIN_PROGRESS_SECONDS:
            before, count = count, progress.count()
            if count != before and count[1] < count[2]:
                echo(str(progress))
            printed = time.monotonic()
        time.sleep(POLL_SECONDS)
    if progress.pins:
        echo(str(progress))


def overwrite_line(line: str) -> None:
    """Overwrite the current line of the terminal."""
    width = shutil.get_terminal_size().columns - 1
    echo("\r" + line[:width].ljust(width), end="")


def last_line(venv: Path) -> str:
    """Return the last line of the installer's output."""
    lines = (venv / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def repair_hint(venv: Path) -> str:
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
