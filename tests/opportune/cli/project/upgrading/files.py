"""Files and commits of projects in tests of `upgrade`."""

import subprocess
from pathlib import Path

from tests.opportune.cli.conftest import Outcome


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that the file contains."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def commit(folder: Path, message: str = "Work") -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def snapshot(folder: Path) -> dict[Path, bytes]:
    """Return the content of all files, except those of git."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}


def assert_refused(outcome: Outcome, message: str, shop: Path) -> None:
    """Check that the command failed with one line and changed nothing."""
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.code == 1
    assert git(shop, "branch", "--format=%(refname:short)") in {"main", "HEAD"}
