"""Formatting of Python code with ruff, which the development dependencies contain. Without ruff nothing is changed."""

import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path


def format_files(paths: Sequence[Path], rules: str = "I") -> None:
    """Format files with the rules of their project. First correct what breaks `rules`: by default, sort imports."""
    if rules and paths:
        _run("check", "--fix-only", f"--select={rules}", *paths)
    if paths:
        _run("format", *paths)


def find_formatted(paths: Iterable[Path]) -> list[Path]:
    """Return the files that are formatted as ruff does it."""
    return [path for path in paths if _run("format", "--check", path)]


def _run(*arguments: str | Path) -> bool:
    """Run ruff. Return whether it is installed and succeeds."""
    ruff = shutil.which("ruff", path=sysconfig.get_path("scripts"))
    command = [ruff or "", *arguments, "--quiet", "--no-cache"]
    return bool(ruff) and subprocess.run(command, capture_output=True, check=False).returncode == 0
