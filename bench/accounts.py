"""Costs of the user lookup per request, and delays for other users while twenty users sign in.

    .venv/bin/python -m bench.accounts [--rounds 7] [--only sqlite]

One worker of the whole site. A list of 20 rows is requested by an anonymous and by a signed-in user, whose session and
account are read each time: at most 1.3 x the processor time. Then `/health/live` is requested every five milliseconds,
without waiting for the previous response, first alone and then while twenty users sign in. The 99th percentile of the
times from the scheduled request to the response is at most 50 ms.
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

from bench.harness.load import Request, WrongAnswerError, drive
from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve
from bench.harness.tasks import PASSWORD, make_requests, people
from bench.speed import DATABASES, ENOUGH_ROUNDS, addresses, chosen

MAX_RATIO = 1.3
MAX_WAIT_MS = 50.0
"""Milliseconds."""
REQUESTS, REQUESTS_OF_A_TEST = 600, 40
CLIENT_CONNECTIONS = 4
PROBE_INTERVAL_SECONDS = 0.005
"""Seconds between two requests."""
PROBE_TIMEOUT_SECONDS = 120
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
IDLE_PROBE_SECONDS = 1.5
"""Seconds of probes without sign-ins."""


@dataclass
class Figures:
    """Results by round."""

    microseconds: dict[str, list[float]] = field(default_factory=lambda: {"/items": [], "/items/guarded": []})
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    sign_ins: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", type=chosen(*DATABASES), default=DATABASES, help=", ".join(DATABASES))
    options = parser.parse_args()
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as client:
        for kind in options.only:
            with addresses(kind, Path(folder)) as address, site(address("ours"), Path(folder)) as (server, cookie):
                figures = measure(server, make_requests(cookie)["mine"], options.rounds, client)
            found += show(kind, figures)
    if options.rounds < ENOUGH_ROUNDS:
        return 0
    for line in found:
        print(line)
    return int(bool(found))


@contextmanager
def site(url: str, folder: Path) -> Iterator[tuple[Server, str]]:
    """Start the server and return it with the cookie of a signed-in user."""
    peer = PEERS["ours"]
    environ = environment(**peer.environ_for(url))
    cookie = run(["-m", peer.prepare], environ)
    run(["-m", "bench.peers.ours.people"], environ)
    with serve(peer.serve, environ, folder / "log") as server:
        yield server, cookie


def measure(server: Server, cookie_request: Request, rounds: int, client: Executor) -> Figures:
    """Measure all rounds. A warm-up round is not counted."""
    figures, count = Figures(), REQUESTS if rounds >= ENOUGH_ROUNDS else REQUESTS_OF_A_TEST
    for number in range(rounds + 1):
        counted = figures if number else Figures()
        for path, took in counted.microseconds.items():
            request = Request(cookie_request.sent.replace(b" /items/mine ", f" {path} ".encode()), 200, b"Item 20</a>")
            if path == "/items":
                request = make_requests("")["page"]
            before = server.cpu_seconds()
            client.submit(drive, server.port, [request], count, CLIENT_CONNECTIONS).result()
            took.append((server.cpu_seconds() - before) / count * 1e6)
        end = time.perf_counter() + IDLE_PROBE_SECONDS
        counted.alone.append(percentile_99(waits_for_health(server.port, partial(has_passed, end))))
        signing_in: Future[float] = client.submit(drive, server.port, sign_ins(), len(people()), len(people()))
        counted.beside.append(percentile_99(waits_for_health(server.port, signing_in.done)))
        try:
            counted.sign_ins.append(signing_in.result())
        except WrongAnswerError as error:  # for example 503 on an overloaded machine
            sys.exit(f"Not all could sign in: {error}")
    return figures


def has_passed(moment: float) -> bool:
    return time.perf_counter() > moment


def sign_ins() -> list[Request]:
    head = "POST /accounts/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    bodies = [urlencode({"email": email, "password": PASSWORD}) for email in people()]
    return [Request(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode(), 303, b"") for body in bodies]


def waits_for_health(port: int, is_over: Callable[[], bool]) -> list[float]:
    """Return the milliseconds of each `/health/live` request."""
    return asyncio.run(_waits(port, is_over))


def percentile_99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98]


async def _waits(port: int, is_over: Callable[[], bool]) -> list[float]:
    times, tasks, idle = list[float](), set[asyncio.Task[None]](), list[Connection]()

    async def ask(scheduled_at: float) -> None:
        # On a free connection, because waiting in the client would count as a delay of the server.
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):  # closed because it was idle
            await ask(scheduled_at)
            return
        await reader.readexactly(int(CONTENT_LENGTH.search(head)[1]))  # type: ignore[index]  # it has one
        times.append((time.perf_counter() - scheduled_at) * 1000)
        idle.append((reader, writer))

    scheduled_at = time.perf_counter()
    async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
        while not is_over() or len(tasks) < 2:
            await asyncio.sleep(max(0.0, scheduled_at - time.perf_counter()))
            tasks.add(asyncio.create_task(ask(scheduled_at)))
            scheduled_at += PROBE_INTERVAL_SECONDS
        await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return times


def show(kind: str, figures: Figures) -> list[str]:
    """Print the table and return a line for each exceeded limit."""
    opened, guarded = (median(took) for took in figures.microseconds.values())
    alone, beside = median(figures.alone), median(figures.beside)
    print(f"\n{kind}")
    print(f"{'page open to all':44}{opened:8.0f} µs")
    print(f"{'the same page, signed in':44}{guarded:8.0f} µs{guarded / opened:8.2f} x (at most {MAX_RATIO})")
    print(f"{'p99 of /health/live, alone':44}{alone:8.1f} ms")
    print(f"{'the same while 20 people sign in':44}{beside:8.1f} ms{beside / alone:8.1f} x (at most {MAX_WAIT_MS} ms)")
    print(f"{'until all of them have signed in':44}{median(figures.sign_ins):8.2f} s")
    found = []
    if guarded / opened > MAX_RATIO:
        found.append(f"Too slow: a signed-in page on {kind} is {guarded / opened:.2f} x the open one.")
    if beside > MAX_WAIT_MS:
        found.append(f"Too long: others wait {beside:.1f} ms on {kind}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
