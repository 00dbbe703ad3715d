"""The admin's list of 100,000 rows beside Django's admin with the same rows, columns and filters.

    .venv/bin/python -m bench.adminlist [--rounds 5] [--requests 40] [--only sqlite] [--rows 100000]

Whole servers of one worker each, as in `bench.speed`. The processor time per request of the server's processes must not
exceed Django's. The latency of single requests is printed without a limit. On PostgreSQL it is mostly the time of the
database, which is the same for both.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.harness.load import Request, WrongAnswerError, drive
from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve
from bench.harness.tables import Figure
from bench.harness.tasks import MORE, page_request
from bench.speed import DATABASES, ENOUGH_ROUNDS, addresses, chosen

TABLE_ROWS = 100_000
MAX_RATIO = 1.0
LISTS = {"ours": "/admin/item/list", "django": "/admin/django_site/item/"}
PAGES = {
    "the list": {"ours": "", "django": ""},
    "its second page": {"ours": "?page=2", "django": "?p=2"},
    "its last page": {"ours": "?page={last}", "django": "?p={last}"},
    "sorted by title": {"ours": "?sortBy=title&sort=asc", "django": "?o=2"},
    "what is done": {"ours": "?done=true", "django": "?done__exact=1"},
    "a search": {"ours": "?search=note+77", "django": "?q=note+77"},
}
ROWS_PER_PAGE = 25

Figures = dict[str, dict[str, list[Figure]]]
"""Results by round, page and site."""


@dataclass(frozen=True)
class Player:
    name: str
    server: Server
    requests: Mapping[str, Request]
    client: Executor

    def play(self, page: str, count: int) -> Figure:
        before = self.server.cpu_seconds()
        try:
            seconds = self.client.submit(drive, self.server.port, [self.requests[page]], count, 1).result()
        except WrongAnswerError as error:
            sys.exit(f"{self.name}, {page}: {error}")
        return Figure((self.server.cpu_seconds() - before) / count * 1e6, count / seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=40, help="of each kind in each round")
    parser.add_argument("--rows", type=int, default=TABLE_ROWS)
    parser.add_argument("--only", type=chosen(*DATABASES), default=DATABASES, help=", ".join(DATABASES))
    options = parser.parse_args()
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as client:
        for kind in options.only:
            with addresses(kind, Path(folder)) as address, ExitStack() as stack:
                players = [start(stack, name, address(name), Path(folder), client, options.rows) for name in LISTS]
                figures = measure(players, options.rounds, options.requests)
            found += show(kind, options.rows, figures)
    for line in found if options.rounds >= ENOUGH_ROUNDS else ():
        print(line)
    return int(bool(found) and options.rounds >= ENOUGH_ROUNDS)


def start(stack: ExitStack, name: str, url: str, folder: Path, client: Executor, rows: int) -> Player:
    peer = PEERS[name]
    environ = environment(**peer.environ_for(url), **{MORE: str(rows), "JOBS": "off"})
    cookie = run(["-m", peer.prepare], environ)
    server = stack.enter_context(serve(peer.serve, environ, folder / f"{name}.log"))
    last = (rows + 19) // ROWS_PER_PAGE + 1
    # The oldest rows, on the last page, have other titles.
    requests = {
        page: page_request(LISTS[name] + query[name].format(last=last), cookie, "Item" if "last" in page else "Entry")
        for page, query in PAGES.items()
    }
    return Player(name, server, requests, client)


def measure(players: Sequence[Player], rounds: int, count: int) -> Figures:
    """Measure all rounds after a short warm-up round."""
    figures: Figures = {page: {player.name: [] for player in players} for page in PAGES}
    for number in range(rounds + 1):
        for page in PAGES:
            for player in players:
                figure = player.play(page, count if number else 2)
                if number:
                    figures[page][player.name].append(figure)
    return figures


def show(kind: str, rows: int, figures: Figures) -> list[str]:
    """Print the table and return a line for each page that is too slow."""
    print(f"\n{kind}, {rows:,} rows, ms{'processor':>20}{'':17}{'answer':>16}")
    print(f"{'':24}{'ours':>8}{'django':>8}{'ratio':>8}   {'ours':>8}{'django':>8}{'ratio':>8}")
    slow = []
    for page, by_site in figures.items():
        busy = {name: median(one.microseconds for one in many) / 1000 for name, many in by_site.items()}
        times = {name: 1000 / median(one.rate for one in many) for name, many in by_site.items()}
        ratios = busy["ours"] / busy["django"], times["ours"] / times["django"]
        print(f"{page:24}{_cells(busy, ratios[0])}   {_cells(times, ratios[1])}")
        if ratios[0] > MAX_RATIO:
            slow.append(f"Too slow: {page} of {rows:,} on {kind}: {ratios[0]:.2f} x Django's (at most {MAX_RATIO}).")
    return slow


def _cells(times: Mapping[str, float], ratio: float) -> str:
    return f"{times['ours']:8.1f}{times['django']:8.1f}{ratio:8.2f}"


if __name__ == "__main__":
    sys.exit(main())
