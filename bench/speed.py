"""Processor time per request and requests per second of the site and four other ways to write the same pages.

    .venv/bin/python -m bench.speed [--rounds 5] [--requests 400] [--only sqlite,list] [--peers ours,plain]

Whole servers of one worker each, started together, get the same requests in turn. The results are medians.
The processor time is that of the server's processes, without the database server and the client.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PEERS, Peer
from bench.harness.sites import Contestant, serve_site
from bench.harness.tables import Figures, exceeded_limits, print_tables
from bench.harness.tasks import TASKS, Task, make_requests


def main() -> int:
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("requests", 400, 2, help="of each kind in each round")
    parser.add_names("--peers", [*PEERS], default=[*PEERS])
    return run_on_databases(parser, run_on, TASKS)


def run_on(options: Namespace, kind: str, new_url: NewUrl, folder: Path) -> Iterator[str]:
    with ProcessPoolExecutor(1, get_context("spawn")) as client, ExitStack() as stack:
        contestants = [start(stack, name, new_url(name), folder, client) for name in options.peers]
        tasks = {name: TASKS[name] for name in selected_tasks(options)}
        figures = measure(contestants, tasks, options.rounds, options.requests)
    print_tables(kind, figures, options.rounds)
    return exceeded_limits(kind, figures)


def selected_tasks(options: Namespace) -> list[str]:
    """Return the tasks of --only; by default all."""
    return [name for name in TASKS if name in options.only] or [*TASKS]


def start(
    stack: ExitStack, name: str, url: str, folder: Path, client: Executor, peer: Peer | None = None
) -> Contestant:
    site = stack.enter_context(serve_site(url, folder, name=name, peer=peer))
    return Contestant(name, site.server, make_requests(site.cookie), client)


def measure(contestants: Sequence[Contestant], tasks: Mapping[str, Task], rounds: int, count: int) -> Figures:
    """Return the results by round, task and peer. The work after the start and a short round are not counted."""
    for contestant in contestants:
        contestant.server.wait_until_idle()
    figures: Figures = {name: {contestant.name: [] for contestant in contestants} for name in tasks}
    for number in range(rounds + 1):
        for name, task in tasks.items():
            for contestant in contestants:
                figure = contestant.run_task(task, count if number else max(count // 5, 1))
                if number:
                    figures[name][contestant.name].append(figure)
    return figures


if __name__ == "__main__":
    sys.exit(main())
