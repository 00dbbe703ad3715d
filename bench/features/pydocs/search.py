"""Search while typing, compared with plain SQLAlchemy on the same file, and the time to build an index.

    .venv/bin/python -m bench.features.pydocs.search [--rounds 5] [--requests 2000]

Two whole servers of one worker each, with the same 20,000 entries. A client in a separate process queries each in turn
over 32 connections, for prefixes of names in the index.
"""

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median, quantiles
from urllib.parse import quote

from bench.harness.load import Request, drive
from bench.harness.options import BenchmarkParser, exit_status
from bench.harness.servers import environment, run, serve
from bench.harness.sites import serve_site
from tests.pydocs.sphinx_folder import make_sphinx_folder

CLIENT_CONNECTIONS = 32
MIN_RATIO = 1.5
MAX_TAIL_RATIO = 4
MAX_INDEXING_SECONDS = 30
PLAIN = ("-m", "uvicorn", "bench.features.pydocs.peer.app:app", "--port", "{port}")
HEAD = (
    "GET /pydocs?q={} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
    "HX-Request: true\r\nHX-Request-Type: partial\r\nAccept-Language: en\r\n\r\n"
)


@dataclass(frozen=True)
class Figure:
    rate: float
    """Requests per second."""
    median_seconds: float
    """Median latency in seconds."""
    p99_seconds: float
    """99th percentile of the latency in seconds."""
    cpu_seconds: float
    """Processor seconds per request."""


def main() -> int:
    if find_spec("app.pydocs") is None:
        print("The feature whose search is measured, pydocs, is not installed.")
        return 0
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("requests", 2000, 20, help="in each round")
    parser.add_size("entries", 20_000, 200, help="of the searched index")
    options = parser.read()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, get_context("spawn")) as client:
        folder = Path(name)
        seconds = measure_indexing(folder, options.is_judged)
        figures = measure(folder, client, options)
    ours, plain = (summary(figures[name]) for name in ("ours", "plain"))
    report(seconds, ours, plain, options)
    return exit_status([text for text, is_missed in check_limits(seconds, ours, plain) if is_missed], options)


def measure_indexing(folder: Path, is_judged: bool) -> float:
    """Return the seconds to index Python's standard library from scratch; in tests of the benchmark, two pages."""
    environ = environment(PYDOCS_DATABASE_URL=f"sqlite:///{folder / 'standard.db'}")
    source = [] if is_judged else [str(make_sphinx_folder(folder / "pages"))]
    started = time.perf_counter()
    run(["oppman.py", "pydocs", "index", *source], environ)
    return time.perf_counter() - started


def measure(folder: Path, client: Executor, options: Namespace) -> dict[str, list[Figure]]:
    """Return the results by round. A short warm-up round is not counted."""
    index = folder / "index.db"
    peer = ["-m", "bench.features.pydocs.peer.app", str(options.entries)]
    names = run(peer, environment(BENCH_INDEX=str(index))).splitlines()
    with ExitStack() as stack:
        ours = serve_site(f"sqlite:///{folder / 'ours.db'}", folder, {"PYDOCS_DATABASE_URL": f"sqlite:///{index}"})
        plain = serve(PLAIN, environment(BENCH_INDEX=str(index)), folder / "plain.log")
        servers = {"ours": stack.enter_context(ours).server, "plain": stack.enter_context(plain)}
        figures: dict[str, list[Figure]] = {name: [] for name in servers}
        for number in range(options.rounds + 1):
            queries = prefix_searches(names, number, options.requests if number else options.requests // 5 + 1)
            for name, server in servers.items():
                before = server.cpu_seconds()
                timing = client.submit(measure_searches, server.port, queries).result()
                figure = Figure(*timing, cpu_seconds=(server.cpu_seconds() - before) / len(queries))
                if number:
                    figures[name].append(figure)
    return figures


def prefix_searches(names: Sequence[str], seed: int, count: int) -> list[Request]:
    """Return searches for prefixes of names, as they are sent while a user types."""
    random = Random(seed)  # noqa: S311 - the same in each run
    selected = random.choices(names, k=count)
    typed = [name[: random.randint(1, len(name))] for name in selected]
    return [Request(HEAD.format(quote(text)).encode(), 200, b'id="pydocs-results"') for text in typed]


def measure_searches(port: int, queries: Sequence[Request]) -> tuple[float, float, float]:
    """Return requests per second, and the median and 99th percentile of the latency in seconds."""
    times: list[float] = []
    seconds = drive(port, queries, len(queries), CLIENT_CONNECTIONS, times)
    return len(queries) / seconds, median(times), quantiles(times, n=100)[98]


def summary(figures: Sequence[Figure]) -> Figure:
    return Figure(*(median(column) for column in zip(*map(astuple, figures), strict=True)))


def report(seconds: float, ours: Figure, plain: Figure, options: Namespace) -> None:
    print(f"{'':28}{'a second':>10}{'median':>12}{'p99':>12}{'processor':>12}")
    for name, figure in (("in memory, ours", ours), ("on disk, plain SQLAlchemy", plain)):
        times = f"{figure.median_seconds * 1000:9.1f} ms{figure.p99_seconds * 1000:9.1f} ms"
        print(f"{name:28}{figure.rate:10.0f}{times}{figure.cpu_seconds * 1e6:9.0f} µs")
    print(f"{'ratio':28}{ours.rate / plain.rate:10.2f} x  (at least {MIN_RATIO}; medians of {options.rounds} rounds)")
    print(f"{'p99 of ours':28}{ours.p99_seconds / ours.median_seconds:10.2f} x the median (less than {MAX_TAIL_RATIO})")
    if options.is_judged:
        print(f"{'index of Python itself':28}{seconds:10.1f} s  (less than {MAX_INDEXING_SECONDS})")
    else:
        print(f"{'index of two pages':28}{seconds:10.1f} s")


def check_limits(seconds: float, ours: Figure, plain: Figure) -> list[tuple[str, bool]]:
    return [
        ("Too slow: searches a second beside plain SQLAlchemy.", ours.rate / plain.rate < MIN_RATIO),
        (
            "Too uneven: the slowest hundredth of the searches.",
            ours.p99_seconds / ours.median_seconds >= MAX_TAIL_RATIO,
        ),
        ("Too slow: the index of Python itself.", seconds >= MAX_INDEXING_SECONDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
