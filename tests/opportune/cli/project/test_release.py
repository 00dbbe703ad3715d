"""The record of a project's release."""

import subprocess
from pathlib import Path

import pytest

from opportune import __version__
from opportune.cli.project.release import RECORD, is_remote, parse_version, read_record, record_release
from opportune.errors import OperatorError
from tests.opportune.cli.project.git_program import git

__all__ = ["git"]  # a fixture


def create_files(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{path} as released\n")
    return folder


def test_record_has_git_hashes(tmp_path: Path) -> None:
    released = ("oppman.py", "opportune/web/__init__.py", "requirements-dev.lock", ".github/workflows/tests.yml")
    owned = ("app/books/models.py", "tests/books/test_books.py", "opportune/__pycache__/a.pyc", "README.md")
    record_release(create_files(tmp_path, *released, *owned), source="https://example.com/o.git", startproject=["shop"])
    record = read_record(tmp_path)
    assert record
    assert (record.version, record.source, record.startproject) == (__version__, "https://example.com/o.git", ["shop"])
    assert set(record.files) == set(released)
    result = subprocess.run(["git", "hash-object", tmp_path / "oppman.py"], capture_output=True, text=True, check=True)
    assert record.files["oppman.py"] == result.stdout.strip()


def test_plain_clone_has_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["<<<<<<< HEAD\n", "[]", "{}", '{"version": "new"}', '{"version": "1.0", "files": {"a": "../b"}}']
)
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
