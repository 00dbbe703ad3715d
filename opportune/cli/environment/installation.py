"""Runs an installer, uv or pip, and shows how far it has come. With the standard library alone."""

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
"""Is in .venv while something is installed: whoever finds it makes .venv anew."""
LOG = "install.log"
PLAIN_PROGRESS_SECONDS = 10
"""Interval of progress lines without a terminal."""
POLL_SECONDS = 0.1
BAR_COLUMNS = 20
MIN_SHOWN_BYTES = 1_000_000
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|not enough space on the disk|\[Errno 28\]")
NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|invalid peer certificate")  # pip says the one, uv the other


class InstallError(Exception):
    """One line for the person at the command line."""


def run(venv: Path, verb: str, what: str, command: list[str]) -> None:
    """Run an installer to its end. Its own words go to the log, and the last of them into the error."""
    (venv / UNFINISHED).touch()
    with (venv / LOG).open("wb") as log, ExitStack() as ending:
        with interrupts_held_back():  # in the middle of it, one would leave a process that nobody ends
            installer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False)
            ending.callback(installer.kill)
        watch(Progress(venv, verb, what), installer)
    if installer.wait() >= 0:  # less than nothing: a signal ended it, and who knows what it left
        (venv / UNFINISHED).unlink()
    if installer.returncode:
        words = last_line(venv).rstrip(".")
        raise InstallError(f"{verb} {what} failed: {words}. {repair_hint(venv)} All of it is in {venv / LOG}.")


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C have its effect when the block has ended."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and callable(before):
        before(pressed[0], None)


class Progress:
    """Progress of an installer, from its log and from the packages in .venv."""

    def __init__(self, venv: Path, verb: str, what: str) -> None:
        self.venv, self.verb, self.what = venv, verb, what
        self.started = time.monotonic()
        lock = venv.parent / what
        text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
        pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)
        self.pins = {(plain(name), version) for name, version in pins}
        self.phase = ("", 0, self.started)
        """The current step, its first package count, and its start."""

    def __str__(self) -> str:
        return self.line()

    def line(self, bar: int = 0) -> str:
        """Return the progress, with a bar of this many columns."""
        now = time.monotonic()
        seconds = f"{now - self.started:.0f} s"
        if not self.pins:
            return f"{self.verb} {self.what}: {seconds}"
        verb, done, total = self.count()
        if verb != self.phase[0]:
            self.phase = (verb, done, now)
        filled = bar * done // max(total, 1)
        drawn = f"[{'#' * filled}{'-' * (bar - filled)}] " if bar else ""
        return f"{verb} {self.what}: {drawn}{done} of {total} packages, {seconds}{self.time_left(done, total, now)}"

    def time_left(self, done: int, total: int, now: float) -> str:
        """The rest of the time, at the pace since this began; nothing while nobody can tell."""
        _, before, began = self.phase
        if not before < done < total:
            return ""
        return f", about {(now - began) / (done - before) * (total - done):.0f} s left"

    def count(self) -> tuple[str, int, int]:
        """Return the current step, the number of packages it is done with, and their number on this machine."""
        log = (self.venv / LOG).read_text(encoding="utf-8", errors="replace")
        if re.search("^(?:Audited|Checked) ", log, re.MULTILINE):  # uv found all of them installed
            complete = len(self.pins & installed(self.venv))
            return self.verb, complete, complete
        resolved = re.search(r"^Resolved (\d+) package", log, re.MULTILINE)  # uv says it
        total = int(resolved[1]) if resolved else len(self.pins) - len(re.findall("^Ignoring ", log, re.MULTILINE))
        fetched = len(re.findall("^(?:Collecting|Requirement already satisfied)", log, re.MULTILINE))
        if 0 < fetched < total and "\nInstalling collected packages" not in log:
            return "Downloading", fetched, total  # pip brings all of them before it installs the first
        return self.verb, min(len(self.pins & installed(self.venv)), total), total


def installed(venv: Path) -> set[tuple[str, str]]:
    """Names and versions of what is in .venv."""
    site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(venv)}))
    folders = (found.name.removesuffix(".dist-info") for found in site_packages.glob("*.dist-info"))
    return {(plain(name), version) for name, _, version in (folder.partition("-") for folder in folders)}


def plain(name: str) -> str:
    """A package's name as all its spellings have it in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def watch(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    """Show the progress: one line that advances on a terminal, elsewhere a new line when there is news."""
    if {"-q", "--quiet"} & set(sys.argv[1:]):
        installer.wait()
    elif sys.stderr.isatty():
        watch_on_terminal(progress, installer)
    else:
        watch_without_terminal(progress, installer)


def watch_on_terminal(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    while installer.poll() is None:
        show(f"{progress.line(BAR_COLUMNS)}  {last_line(progress.venv)}")
        time.sleep(POLL_SECONDS)
    show(str(progress))
    echo("")


def watch_without_terminal(progress: Progress, installer: subprocess.Popen[bytes]) -> None:
    """Print a line now and then if the count has changed, and the whole at the end."""
    echo(f"{progress.verb} {progress.what} ...")
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


def show(line: str) -> None:
    """Write over the terminal's line."""
    width = shutil.get_terminal_size().columns - 1
    echo("\r" + line[:width].ljust(width), end="")


def last_line(venv: Path) -> str:
    """The last words of the installer."""
    lines = (venv / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def repair_hint(venv: Path) -> str:
    """Return the advice for a failure."""
    log = (venv / LOG).read_text(encoding="utf-8", errors="replace")
    if DISK_FULL.search(log) or shutil.disk_usage(venv).free < MIN_SHOWN_BYTES:
        return "The disk is full: make room for .venv, the installer's cache and TMPDIR, then run this again."
    if NOT_TRUSTED.search(log):
        return "Has a proxy a certificate of its own? Name the file to trust in PIP_CERT (with uv SSL_CERT_FILE)."
    return "Is the network there?"


def echo(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
