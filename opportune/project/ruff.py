"""Formatting of Python code with ruff, which the development dependencies contain. Without ruff nothing is changed."""

import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path


def format_files(paths: Sequence[Path], rules: str = "I") -> None:
    """Format files with the rules of their project. First correct what breaks `rules`: by default, sort imports."""
    if rules and paths:
        run_ruff("check", "--fix-only", "--quiet", f"--select={rules}", *paths)
    if paths:
        run_ruff("format", "--quiet", *paths)


def find_formatted(paths: Iterable[Path]) -> list[Path]:
    """Return the files that are formatted as ruff does it."""
    results = {path: run_ruff("format", "--check", "--quiet", path) for path in paths}
    return [path for path, result in results.items() if result and result.returncode == 0]


def run_ruff(*arguments: str | Path, code: str | None = None) -> subprocess.CompletedProcess[str] | None:
    """Run ruff, with code as its input. Return None if it is not installed."""
    if not (ruff := shutil.which("ruff", path=sysconfig.get_path("scripts"))):
        return None
    command = [ruff, *arguments, "--no-cache"]
    return subprocess.run(command, input=code, capture_output=True, text=True, encoding="utf-8", check=False)
