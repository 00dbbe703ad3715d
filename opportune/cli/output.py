"""Output of commands: lines, tables, JSON and progress.

Use `print` for requested output, `say` for messages that `-q` hides, `warn` for standard error, and `detail` for `-v`.
On a terminal, tables and progress fit its width and have colours. Piped output has long lines and no colours.
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from opportune.cli.terminal import columns, has_colours, is_terminal, printable, styled
from opportune.progress import watched_by
from opportune.project.current import OPPMAN

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

PIPED_WIDTH_CHARS = 100_000
"""Width of piped tables, so that each row is one line for `grep`."""
BYTES = "bytes"
"""Unit of progress that is shown in kB or MB."""
BAR_DELAY_SECONDS = 1.0
"""Time of a task before its bar is drawn, with its next unit."""
PLAIN_PROGRESS_SECONDS = 10.0
"""Interval of progress lines without a terminal."""


class Level(Enum):
    QUIET = auto()
    NORMAL = auto()
    VERBOSE = auto()


_level = Level.NORMAL


def set_level(level: Level = Level.NORMAL) -> None:
    """Set the level of output, by default that of a command without options."""
    global _level  # noqa: PLW0603 - one level per process
    _level = level


def be_quiet(value: bool) -> None:
    """Handle `-q`."""
    if value:
        set_level(Level.QUIET)


def be_verbose(value: bool) -> None:
    """Handle `-v`."""
    if value:
        set_level(Level.VERBOSE)


def is_quiet() -> bool:
    return _level == Level.QUIET


def is_verbose() -> bool:
    return _level == Level.VERBOSE


def say(line: str = "", end: str = "\n") -> None:
    """Print a message, unless `-q` is set.

    Args:
        line: The message.
        end: Text after the message.
    """
    if not is_quiet():
        print(line, end=end, flush=not end)


def say_next(*commands: str, heading: str = "Next:") -> None:
    """Print the commands of oppman.py to run next, unless `-q` is set."""
    say(heading)
    for command in commands:
        say(f"  {OPPMAN} {command}")


def warn(line: str) -> None:
    """Print a warning to standard error."""
    sys.stdout.flush()  # keeps the order if both streams go to one file
    print(styled(printable(line), "yellow", sys.stderr), file=sys.stderr)


def print_json(data: object) -> None:
    """Print JSON. Dates are in ISO format, and other types are converted to text."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(data, indent=2, ensure_ascii=not is_utf8, default=_json_value))


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Print rows as a table.

    Args:
        headings: Headings of the columns.
        rows: Cells of each row. On a terminal long cells are wrapped, otherwise each row is one line.
        right: Headings of right-aligned columns, for numbers.
    """
    from rich.table import Table  # slow to import

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
    from rich.console import Console  # slow to import

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


class Progress:
    """Progress of a task. Call `advance()`; `total` can be set later."""

    def __init__(self, label: str, total: int | None, unit: str) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self.started = self._printed_at = time.monotonic()
        self._bar: Bar | None = None

    def __str__(self) -> str:
        counts = f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,}"
        seconds = self.remaining_seconds
        rest = "" if seconds is None else f", about {seconds:.0f} s left"
        return f"{self.label}: {counts} {self.unit}{rest}"

    @property
    def remaining_seconds(self) -> float | None:
        """Estimated remaining seconds; None if unknown."""
        if not (self.total and self.done):
            return None
        return (time.monotonic() - self.started) / self.done * max(self.total - self.done, 0)

    def advance(self, count: int = 1) -> None:
        """Add to the number of completed units."""
        self.done += count
        self._draw()
        if not self._bar and time.monotonic() - self._printed_at >= PLAIN_PROGRESS_SECONDS and not is_quiet():
            self._printed_at = time.monotonic()
            sys.stdout.flush()  # keeps the order if both streams go to one file
            print(self, file=sys.stderr, flush=True)

    def describe(self, label: str) -> None:
        self.label = label
        self._draw()

    def _draw(self) -> None:
        is_due = time.monotonic() - self.started >= BAR_DELAY_SECONDS and not is_quiet()
        if not self._bar and is_due and is_terminal(sys.stderr):
            self._bar = _new_bar(self.unit)
            self._bar.add_task(self.label)
            self._bar.start()
        if self._bar:
            self._bar.update(self._bar.task_ids[0], description=self.label, completed=self.done, total=self.total)

    def stop(self) -> None:
        if self._bar:
            self._bar.stop()


def _new_bar(unit: str) -> "Bar":
    from rich import progress  # slow to import, and not needed for short tasks

    counts = [progress.MofNCompleteColumn(), progress.TextColumn(unit)]
    if unit == BYTES:
        counts = [progress.DownloadColumn()]
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        *counts,
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        console=_console(sys.stderr),
        redirect_stdout=is_terminal(),  # otherwise piped output would appear on the terminal
        transient=True,
    )


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
    """Show the progress of the block if it takes longer than a second, unless `-q` is set.

    A terminal shows a bar. Otherwise a line is printed every ten seconds.

    Args:
        label: Description of the task.
        total: Total number of units, if it is known.
        unit: Name of the units in the plural.
    """
    task = Progress(label, total, unit)
    try:
        yield task
    finally:
        task.stop()


@contextmanager
def show_work_progress() -> Iterator[None]:
    """Show the progress that framework code reports in the block, for example during a backup."""
    with watched_by(progress):
        yield
