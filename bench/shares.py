"""Shares of libraries in the processor time of each request of `bench.speed`.

    .venv/bin/python -m bench.shares [--peers ours] [--only sqlite,list] [--rounds 10]

Whole servers run under a sampling profiler. `own` includes templates, and `threads` is the processor time of all
threads except the event loop's, such as SQLite's. Code in C counts for the package that calls it.
"""

import json
import os
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PEERS
from bench.harness.tasks import TASKS
from bench.speed import selected_tasks, start

SAMPLED_PEERS = ("ours", "plain")
ROUND_REQUESTS, TEST_REQUESTS = 200, 10
LIBRARIES = {
    "uvicorn": ("uvicorn", "uvloop", "httptools", "asyncio"),
    "starlette": ("starlette",),
    "fastapi": ("fastapi",),
    "pydantic": ("pydantic", "sqlmodel"),
    "sqlalchemy": ("sqlalchemy",),
    "driver": ("psycopg", "psycopg_pool", "aiosqlite", "sqlite3"),
    "jinja2": ("jinja2", "markupsafe"),
    "own": ("own",),
}
"""Packages by column of the table."""


def main() -> int:
    parser = BenchmarkParser(__doc__, 10, f"of {ROUND_REQUESTS} requests of each kind")
    parser.add_names("--peers", SAMPLED_PEERS, default=["ours"])
    return run_on_databases(parser, run_on, TASKS)


def run_on(options: Namespace, kind: str, new_url: NewUrl, _folder: Path) -> list[str]:
    count = options.rounds * (ROUND_REQUESTS if options.is_judged else TEST_REQUESTS)
    with ProcessPoolExecutor(1, get_context("spawn")) as client:
        for name in options.peers:
            print_shares(f"{name}, {kind}", sample(name, new_url(name), selected_tasks(options), count, client))
    return []


def sample(name: str, url: str, tasks: list[str], count: int, client: Executor) -> dict[str, Counter[str]]:
    """Return the microseconds of a request by library, for each task."""
    shares: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        output = Path(folder) / "samples.json"
        peer = PEERS[name]
        sampled = replace(peer, serve=("-m", "bench.harness.sampling", str(output), *peer.serve[1:]))
        contestant = start(stack, name, url, Path(folder), client, sampled)
        contestant.server.wait_until_idle()
        for task in tasks:
            contestant.run_task(TASKS[task], max(count // 10, 1))
            os.kill(contestant.server.pid, signal.SIGUSR1)
            contestant.run_task(TASKS[task], count)
            os.kill(contestant.server.pid, signal.SIGUSR1)
            while not output.exists():
                time.sleep(0.01)
            packages, loop_seconds, other_seconds = json.loads(output.read_text())
            output.unlink()
            shares[task] = Counter({"threads": other_seconds / count * 1e6})
            for package, samples in packages.items():
                microseconds = loop_seconds / count * 1e6 * samples / sum(packages.values())
                shares[task][_library_of(package)] += microseconds
    return shares


def _library_of(package: str) -> str:
    library = next((library for library, packages in LIBRARIES.items() if package in packages), "other")
    return "stdlib" if library == "other" and package in sys.stdlib_module_names else library


def print_shares(title: str, shares: dict[str, Counter[str]]) -> None:
    columns = (*LIBRARIES, "stdlib", "other", "threads")
    print(f"\n{title:32}{'µs':>8}" + "".join(f"{column:>11}" for column in columns))
    for task, microseconds in shares.items():
        total = microseconds.total()
        cells = "".join(f"{microseconds[column] / total:>11.0%}" for column in columns)
        print(f"{TASKS[task].title:32}{total:>8.0f}{cells}")


if __name__ == "__main__":
    sys.exit(main())
