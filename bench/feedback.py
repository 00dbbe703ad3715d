"""Processor time of `check` and of one test, compared with the import of FastAPI, SQLModel and Alembic.

    .venv/bin/python -m bench.feedback [--rounds 5]

Whole processes on the interpreter that runs this file, one of each in turn. The test is the first one of a file with
the fixture `make`, on SQLite.
"""

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.harness.commands import medians_in_turn, time_command
from bench.harness.options import BenchmarkParser
from bench.harness.servers import environment

TEST = """
from opportune.accounts import User
from opportune.testing import Make

async def test_row(make: Make) -> None:
    assert (await make(User)).id
"""
MAX_CHECK_RATIO, MAX_TEST_RATIO = 3.5, 3.5


def main() -> int:
    options = BenchmarkParser(__doc__, 5).read()
    with tempfile.TemporaryDirectory() as folder:
        imports, check, test = measure(Path(folder), options.rounds)
    print(f"{'':34}median  limit   ({options.rounds} rounds)")
    print(f"{'import fastapi, sqlmodel, alembic':34}{imports:.2f} s")
    for name, seconds, limit in (("check", check, MAX_CHECK_RATIO), ("one test", test, MAX_TEST_RATIO)):
        print(f"{name:34}{seconds:.2f} s\n{'  ratio':34}{seconds / imports:.2f}    {limit:.2f}")
    return int(options.is_judged and (check / imports > MAX_CHECK_RATIO or test / imports > MAX_TEST_RATIO))


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
    return medians_in_turn([partial(cpu_seconds, command) for command in commands], rounds)


def cpu_seconds(arguments: Sequence[str]) -> float:
    return time_command(arguments, environment()).cpu_seconds


if __name__ == "__main__":
    sys.exit(main())
