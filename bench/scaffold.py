"""Time of `startapp` and `addmodel` in a new project.

    .venv/bin/python -m bench.scaffold [--rounds 5]

Whole processes on the interpreter that runs this file, in a new project from `startproject` for each round.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.harness.commands import Duration, time_command
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PROJECT, environment
from opportune.cli.environment.entry import PREPARED

MAX_SECONDS = 2.0
ENVIRON = environment(PYTHONPATH=str(PROJECT), **{PREPARED: "1"})
"""Environment of commands, which would otherwise install packages for the project."""
COMMANDS = {
    "startapp": ["startapp", "notes"],
    "startapp with a model": ["startapp", "blog", "Category", "name:str:50:unique"],
    "addmodel": ["addmodel", "blog", "Post", "title:str", "slug:slug", "body:markdown", "category:Category", "owner"],
}


def run(folder: Path, *arguments: str) -> Duration:
    return time_command(["oppman.py", *arguments], ENVIRON, folder)


def measure(is_judged: bool) -> dict[str, Duration]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "project"
        run(PROJECT, "startproject", "Shop", "--with", "none", str(folder))
        if is_judged:  # compile missing bytecode
            run(folder, "startapp", "warm", "Thing", "name:str")
        return {name: run(folder, *arguments) for name, arguments in COMMANDS.items()}


def main() -> int:
    options = BenchmarkParser(__doc__, 5).read()
    measured = [measure(options.is_judged) for _ in range(options.rounds)]
    slowest = 0.0
    for name in COMMANDS:
        seconds, cpu_seconds = (median(results[name][index] for results in measured) for index in (0, 1))
        remark = f"(at most {MAX_SECONDS}; {options.rounds} rounds)"
        print(f"{name:22} {seconds:6.2f} s, {cpu_seconds:.2f} s of CPU time    {remark}")
        slowest = max(slowest, seconds)
    return int(options.is_judged and slowest > MAX_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
