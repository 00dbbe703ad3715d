"""Time of `startapp` and `addmodel` in a new project.

    .venv/bin/python -m bench.scaffold [--rounds 5]

Whole processes on the interpreter that runs this file, in a new project from `startproject` for each round.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.harness.options import new_parser
from bench.harness.servers import PROJECT, environment
from opportune.cli.environment.entry import PREPARED

MAX_SECONDS = 2.0
ENOUGH_ROUNDS = 5
"""With fewer rounds nothing is judged."""
ENVIRON = environment(PYTHONPATH=str(PROJECT), **{PREPARED: "1"})
"""Environment of commands, which would otherwise install packages for the project."""
COMMANDS = {
    "startapp": ["startapp", "notes"],
    "startapp with a model": ["startapp", "blog", "Category", "name:str:50:unique"],
    "addmodel": ["addmodel", "blog", "Post", "title:str", "slug:slug", "body:markdown", "category:Category", "owner"],
}


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return the seconds and processor seconds of a command."""
    started, times_before = time.perf_counter(), os.times()
    subprocess.run(
        [sys.executable, "oppman.py", *arguments], cwd=folder, env=ENVIRON, check=True, stdout=subprocess.DEVNULL
    )
    times_after = os.times()
    cpu_seconds = (
        times_after.children_user
        + times_after.children_system
        - times_before.children_user
        - times_before.children_system
    )
    return time.perf_counter() - started, cpu_seconds


def measure() -> dict[str, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "project"
        run(PROJECT, "startproject", "Shop", "--with", "none", str(folder))
        run(folder, "addmodel", "--help")  # compiles missing bytecode
        run(folder, "startapp", "warm", "Thing", "name:str")
        return {name: run(folder, *arguments) for name, arguments in COMMANDS.items()}


def main() -> int:
    rounds = new_parser(__doc__, 5).parse_args().rounds
    measured = [measure() for _ in range(rounds)]
    slowest = 0.0
    for name in COMMANDS:
        seconds, cpu_seconds = (median(results[name][index] for results in measured) for index in (0, 1))
        print(
            f"{name:22} {seconds:6.2f} s, {cpu_seconds:.2f} s of CPU time    (at most {MAX_SECONDS}; {rounds} rounds)"
        )
        slowest = max(slowest, seconds)
    return int(rounds >= ENOUGH_ROUNDS and slowest > MAX_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
