"""Output of commands: colours, tables, JSON and progress."""

import io
import sys
from collections.abc import Callable

import pytest

from opportune.cli import output, terminal
from tests.opportune.cli.conftest import Terminal

OpenTerminal = Callable[[int], Terminal]


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> OpenTerminal:
    """Replace both output streams by a terminal of this width."""

    def replace_streams(columns: int) -> Terminal:
        for name, value in {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm", "COLUMNS": str(columns)}.items():
            monkeypatch.setenv(name, value)
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return replace_streams


@pytest.fixture(autouse=True)
def _default_level() -> None:
    output.set_level()


@pytest.mark.parametrize(
    ("environ", "is_tty", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_only_terminals_get_colours(
    environ: dict[str, str], is_tty: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.setenv(name, environ.get(name, ""))
    stream = Terminal() if is_tty else io.StringIO()
    assert (terminal.styled("x", "red", stream) == "\x1b[31mx\x1b[0m") is expected


def test_piped_table_has_a_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("NAME", "ROWS", ""), [("a" * 200, 7, None), ("b", 12_345, "[x]\x1b[2J")], right=("ROWS",))
    lines = [f"NAME{' ' * 196}   ROWS", f"{'a' * 200}      7", f"b{' ' * 199}  12345  [x]?[2J"]
    assert capsys.readouterr().out.splitlines() == lines


def test_table_fits_the_terminal(open_terminal: OpenTerminal) -> None:
    screen = open_terminal(40)
    output.print_table(("NAME", "TEXT"), [("name", "word " * 20)])
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith("\x1b[1mNAME")
    assert len(lines) > 2
    assert max(map(len, lines[1:])) <= 40


def test_quiet_shows_no_progress(open_terminal: OpenTerminal, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = open_terminal(40)
    output.be_quiet(True)
    monkeypatch.setattr(output, "PLAIN_PROGRESS_SECONDS", 0)
    with output.progress("Copying", 4, "rows") as task:
        task.advance()
    assert screen.getvalue() == ""
