"""Processor time per request and requests per second of the site and four other ways to write the same pages.

    .venv/bin/python -m bench.speed [--rounds 5] [--requests 400] [--only sqlite,list] [--peers ours,plain]

Whole servers of one worker each, started together, get the same requests in turn. The results are medians.
The processor time is that of the server's processes, without the database server and the client.
"""

import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.options import DATABASES, ENOUGH_ROUNDS, comma_separated, exit_status, new_parser, selected_databases
from bench.harness.servers import PEERS, Peer, Server, environment, run, serve
from bench.harness.tables import Figure, Figures, exceeded_limits, print_tables
from bench.harness.tasks import TASKS, Task, make_requests
from opportune.testing.services.postgres import postgres

REQUESTS, TEST_REQUESTS = 400, 20


@dataclass(frozen=True)
class Contestant:
    """Peer with its running server."""

    name: str
    server: Server
    requests: dict[str, Request]
    client: Executor

    def run_task(self, task: Task, count: int) -> Figure:
        """Send the requests of a task. A wrong response ends the program."""
        before = self.server.cpu_seconds()
        requests = [self.requests[name] for name in task.request_names]
        try:
            seconds = self.client.submit(drive, self.server.port, requests, count, task.connections).result()
        except WrongResponseError as error:
            sys.exit(f"{self.name}, {task.title}: {error}")
        return Figure((self.server.cpu_seconds() - before) / count * 1e6, count / seconds)


def main() -> int:
    options = read_options()
    exceeded: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as client:
        for database in options.databases:
            with new_database_urls(database, Path(folder)) as new_url, ExitStack() as stack:
                contestants = [start(stack, name, new_url(name), Path(folder), client) for name in options.peers]
                figures = measure(contestants, options.tasks, options.rounds, options.requests)
            print_tables(database, figures, options.rounds)
            exceeded += exceeded_limits(database, figures)
    return exit_status(exceeded, is_judged=options.rounds >= ENOUGH_ROUNDS)


def read_options() -> Namespace:
    parser = new_parser(__doc__, 5)
    parser.add_argument("--requests", type=int, help="of each kind in each round")
    parser.add_argument(
        "--only", type=comma_separated(*DATABASES, *TASKS), default=[], help=", ".join((*DATABASES, *TASKS))
    )
    parser.add_argument("--peers", type=comma_separated(*PEERS), default=list(PEERS), help=", ".join(PEERS))
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    options.databases = selected_databases(options)
    options.tasks = [name for name in TASKS if name in options.only] or list(TASKS)
    options.requests = options.requests or (REQUESTS if options.rounds >= ENOUGH_ROUNDS else TEST_REQUESTS)
    return options


@contextmanager
def new_database_urls(database: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """Yield a function that returns the URL of a new, empty database for a name."""
    if database == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    with postgres() as server:
        yield server.create_database


def start(
    stack: ExitStack, name: str, url: str, folder: Path, client: Executor, peer: Peer | None = None
) -> Contestant:
    peer = peer or PEERS[name]
    environ = environment(**peer.environ_for(url))
    cookie = run(["-m", peer.prepare], environ)
    server = stack.enter_context(serve(peer.serve, environ, folder / f"{name}.log"))
    return Contestant(name, server, make_requests(cookie), client)


def measure(contestants: Sequence[Contestant], tasks: Sequence[str], rounds: int, count: int) -> Figures:
    """Return the results by round, task and peer. A short warm-up round is not counted."""
    figures: Figures = {task: {contestant.name: [] for contestant in contestants} for task in tasks}
    for number in range(rounds + 1):
        for task in tasks:
            for contestant in contestants:
                figure = contestant.run_task(TASKS[task], count if number else max(count // 5, 1))
                if number:
                    figures[task][contestant.name].append(figure)
    return figures


if __name__ == "__main__":
    sys.exit(main())
