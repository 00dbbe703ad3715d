"""The record of a project, and versions of releases."""

from pathlib import Path

import pytest

from opportune.cli.project.record import RECORD, Record, is_remote, parse_version, read_record, write_record
from opportune.errors import OperatorError


def test_record_is_read_as_written(tmp_path: Path) -> None:
    record = Record("Bücher & Co", "bucher-co", "https://example.com/o.git")
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_clone_has_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "[]", "{}", '{"title": "Shop"}', '{"version": "1.0"}'])
def test_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(OperatorError, match=r"^\.opportune\.json is damaged. Restore it"):
        read_record(tmp_path)


def test_versions_are_sorted_by_number() -> None:
    versions = ["0.9", "v0.10.0.dev1", "0.10.0rc1", "0.10", "0.10.1", "1.0"]
    assert sorted(versions, key=parse_version) == versions
    with pytest.raises(ValueError, match="main"):
        parse_version("main")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://example.com/o.git", True),
        ("git@example.com:o.git", True),
        ("ssh://git@example.com/o", True),
        ("/srv/o", False),
        ("../o", False),
        ("C:\\o", False),
        ("C:/o", False),
        ("", False),
    ],
)
def test_local_folders_are_not_remote(address: str, expected: bool) -> None:
    assert is_remote(address) is expected
