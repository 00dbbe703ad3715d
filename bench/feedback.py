"""Processor time of `check` and of one test, compared with the import of FastAPI, SQLModel and Alembic.

    .venv/bin/python -m bench.feedback [--rounds 5]

Whole processes on the interpreter that runs this file, one of each in turn. The test is the first one of a file with
the fixture `make`, on SQLite.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.harness.options import new_parser
from bench.harness.servers import PROJECT, environment

TEST = """
from opportune.accounts import User
from opportune.testing import Make

async def test_row(make: Make) -> None:
    assert (await make(User)).id
"""
MAX_CHECK_RATIO, MAX_TEST_RATIO = 3.5, 3.5
ENOUGH_ROUNDS = 5
"""With fewer rounds nothing is judged."""


def main() -> int:
    rounds = new_parser(__doc__, 5).parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        imports, check, test = measure(Path(folder), rounds)
    print(f"{'':34}median  limit   ({rounds} rounds)")
    print(f"{'import fastapi, sqlmodel, alembic':34}{imports:.2f} s")
    for name, seconds, limit in (("check", check, MAX_CHECK_RATIO), ("one test", test, MAX_TEST_RATIO)):
        print(f"{name:34}{seconds:.2f} s\n{'  ratio':34}{seconds / imports:.2f}    {limit:.2f}")
    return int(rounds >= ENOUGH_ROUNDS and (check / imports > MAX_CHECK_RATIO or test / imports > MAX_TEST_RATIO))


def measure(folder: Path, rounds: int) -> list[float]:
    """Return the medians of the imports, `check` and one test."""
    file = folder / "test_row.py"
    file.write_text(TEST)
    pytest = ["-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "opportune.testing.plugin"]
    commands = [
        ["-c", "import fastapi, sqlmodel, alembic"],
        ["oppman.py", "check"],
        [*pytest, "-o", f"cache_dir={folder}/cache", str(file)],
    ]
    for command in commands:
        cpu_seconds(command)  # compiles missing bytecode, and applies migrations
    measured = [[cpu_seconds(command) for command in commands] for _ in range(rounds)]
    return [median(column) for column in zip(*measured, strict=True)]


def cpu_seconds(arguments: Sequence[str]) -> float:
    before = os.times()
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment(), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    sys.exit(main())
