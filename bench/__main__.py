"""Run all benchmarks with one round, one for each processor at a time, to check that they work.

    .venv/bin/python -m bench

The processes are forked from this one, which has imported the framework. They share a PostgreSQL server and prepared
SQLite files.
"""

import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from multiprocessing import connection, get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

import opportune.application
import opportune.testing.plugin  # noqa: F401 - most benchmarks import both
from bench.harness.databases import PREPARED_VARIABLE
from bench.harness.servers import PROJECT
from opportune.testing.services.postgres import postgres_of_run


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, postgres_of_run():
        os.environ[PREPARED_VARIABLE] = folder
        failed = list(failures(sorted(benchmarks()), Path(folder)))
    for name in failed:
        print(f"{name} failed")
    return int(bool(failed))


def benchmarks() -> Iterator[str]:
    """Yield the names of the modules."""
    for pattern in ("bench/[a-z]*.py", "bench/features/*/[a-z]*.py"):
        for path in PROJECT.glob(pattern):
            yield ".".join(path.relative_to(PROJECT).with_suffix("").parts)


def failures(names: list[str], folder: Path) -> Iterator[str]:
    """Run benchmarks, print their output, and yield the names of those that fail."""
    running: list[ForkProcess] = []
    while names or running:
        while names and len(running) < (os.cpu_count() or 1):
            name = names.pop(0)
            running.append(get_context("fork").Process(target=run, name=name, args=(name, folder / f"{name}.log")))
            running[-1].start()
        connection.wait([process.sentinel for process in running])
        for process in [process for process in running if not process.is_alive()]:
            running.remove(process)
            output = (folder / f"{process.name}.log").read_text(encoding="utf-8")
            print(f"\n== {process.name}\n{output}", flush=True)
            if process.exitcode:
                yield process.name


def run(name: str, log: Path) -> None:
    """Run a benchmark in this process, and write its output to the log."""
    with log.open("wb") as file:
        for output in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), output.fileno())
    sys.argv = [name, "--rounds", "1"]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.exit(main())
