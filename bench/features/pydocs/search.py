"""Search while typing, compared with plain SQLAlchemy on the same file, and the time to build an index.

    .venv/bin/python -m bench.features.pydocs.search [--rounds 5] [--requests 2000]

Two whole servers of one worker each, with the same 20,000 entries. A client in a separate process queries each in turn
over 32 connections, for prefixes of names in the index.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median, quantiles
from urllib.parse import quote

from bench.harness.load import Request, drive
from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve

CLIENT_CONNECTIONS = 32
MIN_RATIO, MAX_TAIL_RATIO, MAX_INDEXING_SECONDS = 1.5, 4, 30
ENOUGH_ROUNDS = 3
"""With fewer rounds nothing is judged."""
HEAD = (
    "GET /pydocs?q={} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
    "HX-Request: true\r\nHX-Request-Type: partial\r\nAccept-Language: en\r\n\r\n"
)


@dataclass(frozen=True)
class Figure:
    rate: float
    """Requests per second."""
    middle: float
    """Median latency in seconds."""
    tail: float
    """99th percentile of the latency in seconds."""
    processor: float
    """Processor seconds per request."""


def main() -> int:
    if find_spec("app.pydocs") is None:
        print("There is no feature pydocs: nothing is measured.")
        return 0
    options = read_options()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, get_context("spawn")) as client:
        folder = Path(name)
        seconds = indexing(folder)
        figures = measure(folder, client, options.rounds, options.requests)
    ours, plain = (summary(figures[name]) for name in ("ours", "plain"))
    show(seconds, ours, plain, options.rounds)
    found = [words for words, is_missed in judged(seconds, ours, plain) if is_missed]
    if options.rounds < ENOUGH_ROUNDS:
        return 0
    for words in found:
        print(words)
    return int(bool(found))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="in each round")
    options = parser.parse_args()
    if min(options.rounds, options.requests) < 1:
        parser.error("--rounds and --requests must be 1 or more")
    return options


def indexing(folder: Path) -> float:
    """Return the seconds to index Python's standard library from scratch."""
    environ = environment(PYDOCS_DATABASE_URL=f"sqlite:///{folder / 'standard.db'}")
    started = time.perf_counter()
    run(["oppman.py", "pydocs", "index"], environ)
    return time.perf_counter() - started


def measure(folder: Path, client: Executor, rounds: int, count: int) -> dict[str, list[Figure]]:
    """Return the results by round. A short warm-up round is not counted."""
    index = folder / "index.db"
    names = run(["-m", "bench.features.pydocs.peer.prepare"], environment(BENCH_INDEX=str(index))).splitlines()
    with ExitStack() as stack:
        servers = {"ours": start_ours(stack, folder, index), "plain": start_plain(stack, folder, index)}
        figures: dict[str, list[Figure]] = {name: [] for name in servers}
        for number in range(rounds + 1):
            queries = keystrokes(names, number, count if number else count // 5 + 1)
            for name, server in servers.items():
                before = server.cpu_seconds()
                timing = client.submit(ask, server.port, queries).result()
                figure = Figure(*timing, processor=(server.cpu_seconds() - before) / len(queries))
                if number:
                    figures[name].append(figure)
    return figures


def start_ours(stack: ExitStack, folder: Path, index: Path) -> Server:
    peer = PEERS["ours"]
    environ = environment(
        **peer.environ_for(f"sqlite:///{folder / 'ours.db'}"), PYDOCS_DATABASE_URL=f"sqlite:///{index}"
    )
    run(["-m", peer.prepare], environ)
    return stack.enter_context(serve(peer.serve, environ, folder / "ours.log"))


def start_plain(stack: ExitStack, folder: Path, index: Path) -> Server:
    arguments = ("-m", "uvicorn", "bench.features.pydocs.peer.app:app", "--port", "{port}")
    return stack.enter_context(serve(arguments, environment(BENCH_INDEX=str(index)), folder / "plain.log"))


def keystrokes(names: Sequence[str], seed: int, count: int) -> list[Request]:
    """Return a prefix of a name, as typed so far."""
    random = Random(seed)  # noqa: S311 - the same in each run
    selected = random.choices(names, k=count)
    typed = [name[: random.randint(1, len(name))] for name in selected]
    return [Request(HEAD.format(quote(words)).encode(), 200, b'id="pydocs-results"') for words in typed]


def ask(port: int, queries: Sequence[Request]) -> tuple[float, float, float]:
    """Return requests per second, and the median and 99th percentile of the latency in seconds."""
    times: list[float] = []
    seconds = drive(port, queries, len(queries), CLIENT_CONNECTIONS, times)
    return len(queries) / seconds, median(times), quantiles(times, n=100)[98]


def summary(figures: Sequence[Figure]) -> Figure:
    return Figure(
        *(median(getattr(figure, name) for figure in figures) for name in ("rate", "middle", "tail", "processor"))
    )


def show(seconds: float, ours: Figure, plain: Figure, rounds: int) -> None:
    print(f"{'':28}{'a second':>10}{'median':>12}{'p99':>12}{'processor':>12}")
    for name, one in (("in memory, ours", ours), ("on disk, plain SQLAlchemy", plain)):
        times = f"{one.middle * 1000:9.1f} ms{one.tail * 1000:9.1f} ms"
        print(f"{name:28}{one.rate:10.0f}{times}{one.processor * 1e6:9.0f} µs")
    print(f"{'ratio':28}{ours.rate / plain.rate:10.2f} x  (at least {MIN_RATIO}; medians of {rounds} rounds)")
    print(f"{'p99 of ours':28}{ours.tail / ours.middle:10.2f} x the median (less than {MAX_TAIL_RATIO})")
    print(f"{'index of Python itself':28}{seconds:10.1f} s  (less than {MAX_INDEXING_SECONDS})")


def judged(seconds: float, ours: Figure, plain: Figure) -> list[tuple[str, bool]]:
    return [
        ("Too slow: searches a second beside plain SQLAlchemy.", ours.rate / plain.rate < MIN_RATIO),
        ("Too uneven: the slowest hundredth of the searches.", ours.tail / ours.middle >= MAX_TAIL_RATIO),
        ("Too slow: the index of Python itself.", seconds >= MAX_INDEXING_SECONDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
