"""Costs of the user lookup per request, and delays for other users while twenty users sign in.

    .venv/bin/python -m bench.accounts [--rounds 7] [--only sqlite]

One worker of the whole site. A list of 20 rows is requested by an anonymous and by a signed-in user, whose session and
account are read each time: at most 1.3 x the processor time. Then `/health/live` is requested every five milliseconds,
without waiting for the previous response, first without other load and then while twenty users sign in. The 99th
percentile of the times from the scheduled request to the response is at most 50 ms.
"""

import asyncio
import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.load import Request, WrongResponseError, drive
from bench.harness.options import BenchmarkParser
from bench.harness.servers import Server
from bench.harness.sites import serve_site
from bench.harness.tasks import PASSWORD, make_requests, user_emails

MAX_RATIO = 1.3
MAX_LATENCY_MS = 50.0
REQUESTS, TEST_REQUESTS = 600, 40
TEST_USERS = 4
CLIENT_CONNECTIONS = 4
PROBE_INTERVAL_SECONDS = 0.005
"""Seconds between two requests."""
PROBE_TIMEOUT_SECONDS = 120
CONTENT_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
IDLE_PROBE_SECONDS, TEST_PROBE_SECONDS = 1.5, 0.2
"""Seconds of probes without sign-ins."""


@dataclass
class Figures:
    """Results by round."""

    cpu_microseconds: dict[str, list[float]] = field(default_factory=lambda: {"/items": [], "/items/guarded": []})
    idle_p99_ms: list[float] = field(default_factory=list)
    busy_p99_ms: list[float] = field(default_factory=list)
    sign_in_seconds: list[float] = field(default_factory=list)


def main() -> int:
    return run_on_databases(BenchmarkParser(__doc__, 7), run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, folder: Path) -> list[str]:
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as client,
        serve_site(new_url("ours"), folder) as site,
    ):
        request = make_requests(site.cookie)["signed_in_page"]
        return report(kind, measure(site.server, request, options, client))


def measure(server: Server, cookie_request: Request, options: Namespace, client: Executor) -> Figures:
    """Measure all rounds. A warm-up round is not counted; tests of the benchmark have none."""
    is_test = not options.is_judged
    figures = Figures()
    count = TEST_REQUESTS if is_test else REQUESTS
    for number in range(is_test, options.rounds + 1):
        round_figures = figures if number else Figures()
        for path, microseconds in round_figures.cpu_microseconds.items():
            request = Request(cookie_request.raw.replace(b" /items/mine ", f" {path} ".encode()), 200, b"Item 20</a>")
            if path == "/items":
                request = make_requests("")["page"]
            before = server.cpu_seconds()
            client.submit(drive, server.port, [request], count, CLIENT_CONNECTIONS).result()
            microseconds.append((server.cpu_seconds() - before) / count * 1e6)
        end = time.perf_counter() + (TEST_PROBE_SECONDS if is_test else IDLE_PROBE_SECONDS)
        round_figures.idle_p99_ms.append(percentile_99(health_latencies_ms(server.port, partial(has_passed, end))))
        users = TEST_USERS if is_test else len(user_emails())
        sign_ins: Future[float] = client.submit(drive, server.port, sign_in_requests(), users, users)
        round_figures.busy_p99_ms.append(percentile_99(health_latencies_ms(server.port, sign_ins.done)))
        try:
            round_figures.sign_in_seconds.append(sign_ins.result())
        except WrongResponseError as error:  # for example 503 on an overloaded machine
            sys.exit(f"A sign-in failed: {error}")
    return figures


def has_passed(moment: float) -> bool:
    return time.perf_counter() > moment


def sign_in_requests() -> list[Request]:
    head = "POST /accounts/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    bodies = [urlencode({"email": email, "password": PASSWORD}) for email in user_emails()]
    return [Request(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode(), 303, b"") for body in bodies]


def health_latencies_ms(port: int, is_finished: Callable[[], bool]) -> list[float]:
    """Return the milliseconds of each `/health/live` request."""
    return asyncio.run(_measure_health_latency(port, is_finished))


def percentile_99(times: Sequence[float]) -> float:
    return quantiles(times, n=100)[98]


async def _measure_health_latency(port: int, is_finished: Callable[[], bool]) -> list[float]:
    times = list[float]()
    tasks = set[asyncio.Task[None]]()
    idle = list[Connection]()

    async def probe(scheduled_at: float) -> None:
        # On a free connection, because waiting in the client would count as a delay of the server.
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):  # closed because it was idle
            await probe(scheduled_at)
            return
        await reader.readexactly(int(CONTENT_LENGTH.search(head)[1]))  # type: ignore[index]
        times.append((time.perf_counter() - scheduled_at) * 1000)
        idle.append((reader, writer))

    scheduled_at = time.perf_counter()
    async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
        while not is_finished() or len(tasks) < 2:
            await asyncio.sleep(max(0.0, scheduled_at - time.perf_counter()))
            tasks.add(asyncio.create_task(probe(scheduled_at)))
            scheduled_at += PROBE_INTERVAL_SECONDS
        await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return times


def report(kind: str, figures: Figures) -> list[str]:
    """Print the results and return a line for each exceeded limit."""
    anonymous, guarded = (median(microseconds) for microseconds in figures.cpu_microseconds.values())
    idle_p99_ms, busy_p99_ms = median(figures.idle_p99_ms), median(figures.busy_p99_ms)
    print(f"\n{kind}")
    print(f"{'page, anonymous':44}{anonymous:8.0f} µs")
    print(f"{'the same page, signed in':44}{guarded:8.0f} µs{guarded / anonymous:8.2f} x (at most {MAX_RATIO})")
    print(f"{'p99 of /health/live, otherwise idle':44}{idle_p99_ms:8.1f} ms")
    print(
        f"{'p99 while 20 users sign in':44}{busy_p99_ms:8.1f} ms{busy_p99_ms / idle_p99_ms:8.1f} x "
        f"(at most {MAX_LATENCY_MS} ms)"
    )
    print(f"{'time until all are signed in':44}{median(figures.sign_in_seconds):8.2f} s")
    failures = []
    if guarded / anonymous > MAX_RATIO:
        failures.append(f"Too slow: a signed-in page on {kind} takes {guarded / anonymous:.2f} x the anonymous one.")
    if busy_p99_ms > MAX_LATENCY_MS:
        failures.append(f"Too slow: /health/live takes {busy_p99_ms:.1f} ms on {kind} while users sign in.")
    return failures


if __name__ == "__main__":
    sys.exit(main())
