"""Output of commands: lines, tables, JSON and progress.

A line that was asked for is `print`ed, what was done is `say`d and `-q` leaves it out, `warn` goes to standard error,
and `detail` is for `-v`. On a terminal tables and progress fit its width and have colours; what is piped has neither.
"""

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from opportune.cli.terminal import columns, has_colours, is_terminal, printable, styled
from opportune.runtime.progress import watched_by

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

PIPED_WIDTH_CHARS = 100_000
"""The width of what no terminal shows: a row is a line, for `grep`."""
BYTES = "bytes"
"""The unit that is shown as kB or MB."""
BAR_AFTER_SECONDS = 1.0
PLAIN_PROGRESS_SECONDS = 10.0
"""Interval of progress lines without a terminal."""


class Level(Enum):
    QUIET = auto()
    NORMAL = auto()
    VERBOSE = auto()


_level = Level.NORMAL


def begin(level: Level = Level.NORMAL) -> None:
    """Say as much as a command does without options."""
    global _level  # noqa: PLW0603 - a process speaks with one voice
    _level = level


def be_quiet(value: bool) -> None:
    """Handle `-q`."""
    if value:
        begin(Level.QUIET)


def be_verbose(value: bool) -> None:
    """Handle `-v`."""
    if value:
        begin(Level.VERBOSE)


def is_quiet() -> bool:
    return _level == Level.QUIET


def is_verbose() -> bool:
    return _level == Level.VERBOSE


def say(line: str = "", end: str = "\n") -> None:
    """Tell what was done; not with `-q`."""
    if not is_quiet():
        print(line, end=end, flush=not end)


def detail(line: str) -> None:
    """Tell on standard error what only `-v` asks for."""
    if is_verbose():
        print(line, file=sys.stderr)


def warn(line: str) -> None:
    """Tell on standard error what somebody should know."""
    sys.stdout.flush()  # where both go into one file, it comes below what it is about
    print(styled(printable(line), "yellow", sys.stderr), file=sys.stderr)


def print_json(data: object) -> None:
    """Print for programs: text in UTF-8, moments and the like as their text."""
    print(json.dumps(data, indent=2, ensure_ascii=not _is_utf8(), default=_text))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print rows in columns: on a terminal folded to its width, elsewhere a line each. `right`: those of numbers."""
    from rich.table import Table  # noqa: PLC0415 - takes a twentieth of a second

    console = _console(sys.stdout, columns() or PIPED_WIDTH_CHARS)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in right else "left")
    for row in rows:
        table.add_row(*("" if cell is None else printable(str(cell)) for cell in row))
    with console.capture() as captured:
        console.print(table)
    lines = captured.get().splitlines()
    print("\n".join(lines if has_colours() else [line.rstrip() for line in lines]))


def _console(stream: Any, width: int | None = None) -> "Console":
    from rich.console import Console  # noqa: PLC0415 - as above

    colours = has_colours(stream)
    return Console(
        file=stream,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        force_terminal=colours or is_terminal(stream),
        color_system="auto" if colours else None,
    )


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


class Progress:
    """Progress of a piece of work. Call `advance()`; `total` may be set when it is known."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.started = self._told = time.monotonic()
        self._bar: Bar | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._timer = threading.Timer(BAR_AFTER_SECONDS, self._show)
        self._timer.daemon = True

    def __str__(self) -> str:
        counts = f"{self.done:,} of {self.total:,} {self.unit}" if self.total else f"{self.done:,} {self.unit}"
        left = self.seconds_left
        return f"{self.label}: {counts}" + ("" if left is None else f", about {left:.0f} s left")

    @property
    def seconds_left(self) -> float | None:
        """The rest of the time, at the pace so far."""
        if not (self.total and self.done):
            return None
        return (time.monotonic() - self.started) / self.done * max(self.total - self.done, 0)

    def advance(self, count: int = 1) -> None:
        """Count this many more as done."""
        self.done += count
        if self._bar:
            self._draw()
        elif time.monotonic() - self._told >= PLAIN_PROGRESS_SECONDS and not (is_quiet() or is_terminal(sys.stderr)):
            self._told = time.monotonic()
            print(self, file=sys.stderr, flush=True)

    def describe(self, label: str) -> None:
        """Something else is being done now."""
        self.label = label
        self._draw()

    def _draw(self) -> None:
        with self._lock:
            if self._bar:
                self._bar.update(self._bar.task_ids[0], description=self.label, completed=self.done, total=self.total)

    def start(self) -> None:
        if is_terminal(sys.stderr):
            self._timer.start()

    def wait_for_bar(self) -> None:
        """Wait until the bar is drawn, which begins in another thread."""
        self._timer.join()

    def stop(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            if self._bar:
                self._bar.stop()

    def _show(self) -> None:
        """Begin to draw, in a thread of its own: what is watched may not come back for long."""
        from rich import progress  # noqa: PLC0415 - what is over in a second does without

        in_bytes = [progress.DownloadColumn()]
        counts = in_bytes if self.unit == BYTES else [progress.MofNCompleteColumn(), progress.TextColumn(self.unit)]
        bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            *counts,
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=_console(sys.stderr),
            redirect_stdout=is_terminal(),  # or what is piped would come out on the terminal
            transient=True,
        )
        with self._lock:
            if not self._is_over:
                bar.add_task(self.label, total=self.total, completed=self.done)
                bar.start()
                self._bar = bar


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Show how far the block has come if it takes over a second: a bar on a terminal, else a line now and then.

    `total` is None where nobody knows. Nothing with `-q`.
    """
    shown = Progress(label, total, unit)
    if not is_quiet():
        shown.start()
    try:
        yield shown
    finally:
        shown.stop()


@contextmanager
def work_shown() -> Iterator[None]:
    """Show the progress of what the block calls in the framework, such as a backup or migrations."""
    with watched_by(progress):
        yield
