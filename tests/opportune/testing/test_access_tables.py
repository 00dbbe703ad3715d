"""Tables of access: lines that are accepted, and the log."""

from pathlib import Path

import pytest

from opportune.testing.access.__main__ import accept

COMMITTED = "from method address user\nbooks GET /books 200\nbooks GET /old 200\n"
CURRENT = "from method address user\nbooks GET /books 404\nbooks GET /new 200\n"


def test_accepted_lines_are_written_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "access.txt"
    file.write_text(COMMITTED)
    assert accept(file, CURRENT)
    assert not accept(file, CURRENT)
    assert file.read_text() == CURRENT
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines == ["  books GET /books 404", "  books GET /new 200", "  books GET /old 200 (gone)"]
