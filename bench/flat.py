"""Cost of lists, filters, searches and inserts in a table of 1,000,000 rows beside one of 1,000 rows.

    .venv/bin/python -m bench.flat [--rounds 5] [--requests 40] [--only sqlite,postgresql] [--rows 1000,1000000]

Whole servers of one worker each. The median latency of single requests, which contains the time of the database, may be
at most 1.15 times as long with the large table.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.load import Request, drive
from bench.harness.options import BenchmarkParser, comma_separated_numbers
from bench.harness.servers import PEERS
from bench.harness.sites import serve_site
from bench.harness.tasks import ADDITIONAL_ROWS_VARIABLE, encode_request
from bench.peers.ours.entries import ROWS_VARIABLE, SHELF_ROWS

MAX_GROWTH_RATIO = 1.15
API = "/api/v1/entries"
PATHS = {
    "JSON list": (API, b'"Entry '),
    "JSON list, page 9": (f"{API}?page=9", b'"Entry '),
    "JSON list after a row": (f"{API}?cursor=after:150", b'"Entry '),
    "JSON list by time": (f"{API}?sort=-created_at", b'"Entry '),
    "JSON filter, 20 rows": (f"{API}?shelf=3", b'"Entry '),
    "JSON filter, a third": (f"{API}?done=true", b'"Entry '),
    "JSON search, 20 rows": (f"{API}?q=needle", b'"Needle"'),
    "JSON search, all rows": (f"{API}?q=entry", b'"Entry '),
    "HTML list": ("/entries", b"Entry "),
    "HTML filter, 20 rows": ("/entries?shelf=3", b"Entry "),
    "HTML search, 20 rows": ("/entries?q=needle", b"Entry "),
    "admin list": ("/admin/entry/list", b"Entry "),
    "admin list, last page": ("/admin/entry/list?position=last", b"Entry "),
    "admin filter, a third": ("/admin/entry/list?done=true", b"Entry "),
    "admin search, 20 rows": ("/admin/entry/list?search=needle", b"Entry "),
}


PEER = replace(
    PEERS["ours"],
    prepare="bench.peers.ours.entries",
    serve=(*PEERS["ours"].serve, "bench.peers.ours.entries:create"),
)


@dataclass(frozen=True)
class Target:
    port: int
    requests: Mapping[str, Request]


def main() -> int:
    parser = BenchmarkParser(__doc__, 5)
    parser.add_size("requests", 40, 1, help="of each kind in each round")
    parser.add_size("rows", [1_000, 1_000_000], [200], type=comma_separated_numbers, help="small,large")
    return run_on_databases(parser, run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, folder: Path) -> list[str]:
    with ProcessPoolExecutor(1, get_context("spawn")) as client, ExitStack() as stack:
        targets = [start(stack, new_url(f"rows_{number}"), folder, number) for number in options.rows]
        return report(kind, options.rows, measure(client, targets, options.rounds, options.requests))


def start(stack: ExitStack, url: str, folder: Path, rows: int) -> Target:
    variables = {ROWS_VARIABLE: str(rows), ADDITIONAL_ROWS_VARIABLE: "1", "JOBS": "off"}
    site = stack.enter_context(serve_site(url, folder, variables, f"rows_{rows}", PEER))
    return Target(site.server.port, make_requests(site.cookie))


def make_requests(cookie: str) -> dict[str, Request]:
    requests = {
        name: Request(
            encode_request("GET", path, "application/json" if name.startswith("JSON") else "text/html", cookie=cookie),
            200,
            marker,
        )
        for name, (path, marker) in PATHS.items()
    }
    # Lists show new rows first, so their titles must begin like the others.
    new = json.dumps({"title": "Entry for milk", "note": f"{SHELF_ROWS} bottles"})
    requests["committed insert"] = Request(
        encode_request("POST", API, "application/json", body=new), 201, b'"Entry for milk"'
    )
    return requests


def measure(client: Executor, targets: Sequence[Target], rounds: int, count: int) -> dict[str, list[list[float]]]:
    """Return the latencies in seconds by request and target. The targets take turns, after a round to warm up."""
    latencies = {name: [list[float]() for _ in targets] for name in targets[0].requests}
    for number in range(rounds + 1):
        sent = count if number else min(count, 3)
        for name, of_targets in latencies.items():
            for target, measured in zip(targets, of_targets, strict=True):
                seconds = client.submit(send, target.port, target.requests[name], sent).result()
                measured.extend(seconds if number else ())
    return latencies


def send(port: int, request: Request, count: int) -> list[float]:
    latencies: list[float] = []
    drive(port, [request], count, 1, latencies)
    return latencies


def report(kind: str, rows: Sequence[int], latencies: Mapping[str, Sequence[Sequence[float]]]) -> list[str]:
    """Print the results and return a line for each request that takes longer in the large table."""
    print(f"\n{f'{kind}, ms by rows':28}" + "".join(f"{number:>12,}" for number in rows) + f"{'ratio':>8}")
    failures = []
    for name, of_targets in latencies.items():
        medians = [median(seconds) * 1000 for seconds in of_targets]
        ratio = medians[-1] / medians[0]
        print(f"{name:28}" + "".join(f"{milliseconds:12.2f}" for milliseconds in medians) + f"{ratio:8.2f}", flush=True)
        if ratio > MAX_GROWTH_RATIO:
            failures.append(f"Not flat: {name} on {kind}: {ratio:.2f} x (at most {MAX_GROWTH_RATIO}).")
    return failures


if __name__ == "__main__":
    sys.exit(main())
