"""The record of a project."""

from pathlib import Path

import pytest

from opportune.cli.project.shared_files import RECORD, ProjectNames, read_record, write_record
from opportune.errors import OperatorError


def test_record_is_read_as_written(tmp_path: Path) -> None:
    names = ProjectNames("Bücher & Co", "bucher-co")
    write_record(tmp_path, names)
    assert read_record(tmp_path) == names


def test_clone_has_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[]", "{}", '{"title": "Shop"}', '{"version": "1.0"}'])
def test_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(OperatorError, match=r"^\.opportune\.json is damaged. Restore it"):
        read_record(tmp_path)
