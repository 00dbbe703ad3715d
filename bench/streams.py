"""Costs of streamed answers, compared with a relay that stores nothing.

    .venv/bin/python -m bench.streams [--rounds 3] [--only sqlite]

One worker of the whole site streams 500 answers with ten words per second for 20 seconds to 500 API clients (JSON),
then to 500 pages (HTML), then to no client. The peer is a relay with 500 streams on Starlette and uvicorn. Results
are the processor time per word, the 95th percentile of the latency of words that were sent after the stream started,
the memory per answer and viewer, and the 99th percentile of `/health/live`. All words must arrive in order.
"""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from time import monotonic_ns, perf_counter
from typing import cast

import uvloop

from bench.accounts import has_passed, health_latencies_ms, percentile_99
from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PEERS, Server, environment, serve
from bench.harness.sites import prepare
from bench.peers.streams.relay import WORD, WORD_INTERVAL_SECONDS

END_TIMEOUT_SECONDS = 30
"""Seconds after the last word in which a stream must end."""
TRANSPORTS = ("relay", "json", "html", "unwatched")
MAX_CPU_RATIOS = {"json": 3.0, "html": 5.0}
"""Maximum ratio to the relay's processor time per word."""
MAX_ADDED_DELAY_MS = 500.0
"""Maximum milliseconds above the relay's 95th percentile: 250 until a save, saving 500 answers, and rendering."""
MAX_HEALTH_MS = 50.0
"""Milliseconds for `/health/live`, 99th percentile."""
MAX_ANSWER_KB, MAX_VIEWER_KB = 100.0, 20.0


@dataclass(frozen=True)
class Load:
    streams: int
    words: int


FULL, SMALL = Load(500, 200), Load(10, 5)


@dataclass(frozen=True)
class Figures:
    """Results of a round."""

    microseconds: float
    """Processor time per word."""
    delay_ms: float
    health_ms: float
    memory_kb: float
    """Growth per stream after half of the words."""


def main() -> int:
    return run_on_databases(BenchmarkParser(__doc__, 3), run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, folder: Path) -> Iterator[str]:
    load = FULL if options.is_judged else SMALL
    url = new_url("streams")
    prepare(PEERS["ours"], url, environment(**PEERS["ours"].environ_for(url)))
    with ProcessPoolExecutor(1, get_context("spawn")) as client:
        rounds = [
            {transport: measure_round(transport, url, load, folder, client) for transport in TRANSPORTS}
            for _ in range(options.rounds)
        ]
    figures = {transport: median_figures([figures[transport] for figures in rounds]) for transport in TRANSPORTS}
    report(kind, figures)
    return exceeded_limits(kind, figures)


def measure_round(transport: str, url: str, load: Load, folder: Path, client: Executor) -> Figures:
    with serve_transport(transport, url, folder) as server:
        client.submit(
            watch_streams, server.port, stream_paths(transport, server.port, Load(3, 2)), 2
        ).result()  # one-time work
        memory, before = server.memory_kb(), server.cpu_seconds()
        paths = stream_paths(transport, server.port, load)
        viewers: Future[list[float]] = client.submit(watch_streams, server.port, paths, load.words)
        duration = load.words * WORD_INTERVAL_SECONDS
        started = perf_counter()
        times = health_latencies_ms(server.port, partial(has_passed, started + duration / 2))
        growth_kb = (server.memory_kb() - memory) / load.streams
        times += health_latencies_ms(server.port, partial(has_passed, started + duration))
        delays = viewers.result()
        cpu_seconds = server.cpu_seconds() - before
    delay = quantiles(delays, n=20)[18] if delays else 0.0
    return Figures(cpu_seconds / load.streams / load.words * 1e6, delay, percentile_99(times), growth_kb)


@contextmanager
def serve_transport(transport: str, url: str, folder: Path) -> Iterator[Server]:
    if transport == "relay":
        command = ["-m", "uvicorn", "bench.peers.streams.relay:app", "--port", "{port}", "--no-access-log"]
        environ = environment()
    else:
        command = [*PEERS["ours"].serve, "bench.peers.streams.ours:create"]
        unlimited = {"LLM_MAX_PARALLEL": "1000", "LLM_MAX_TOKENS_PER_VISITOR_PER_DAY": "0"}
        environ = environment(**PEERS["ours"].environ_for(url), **unlimited)
    with serve(command, environ, folder / "log") as server:
        yield server


def stream_paths(transport: str, port: int, load: Load) -> list[str]:
    """Start the answers and return the URLs of their streams."""
    if transport == "relay":
        return [f"/stream?words={load.words}"] * load.streams
    connection = HTTPConnection("127.0.0.1", port, timeout=END_TIMEOUT_SECONDS)
    connection.request("POST", f"/api/v1/bench/answers?count={load.streams}&words={load.words}")
    response = connection.getresponse()
    if response.status != HTTPStatus.OK:
        sys.exit(f"Answers cannot be started: {response.status} {response.read()!r}")
    ids = json.loads(response.read())
    connection.close()
    return [] if transport == "unwatched" else [f"/api/v1/bench/answers/{answer_id}/{transport}" for answer_id in ids]


def watch_streams(port: int, paths: Sequence[str], words: int) -> list[float]:
    """Return the milliseconds from sending to arrival of each word of all streams.

    Raises:
        ValueError: A word is missing.
    """
    return uvloop.run(_watch_streams(port, paths, words))


async def _watch_streams(port: int, paths: Sequence[str], words: int) -> list[float]:
    delays = list[float]()
    loop = asyncio.get_running_loop()
    viewers = [(await loop.create_connection(partial(Viewer, path, delays), "127.0.0.1", port))[1] for path in paths]
    if viewers:
        await asyncio.wait(
            [viewer.ended for viewer in viewers], timeout=words * WORD_INTERVAL_SECONDS + END_TIMEOUT_SECONDS
        )
    if incomplete := [viewer.word_count for viewer in viewers if viewer.word_count != words]:
        raise ValueError(
            f"{len(incomplete)} of {len(paths)} streams lost words; one received {incomplete[0]} of {words}."
        )
    return delays


class Viewer(asyncio.Protocol):
    """Connection that reads a stream until its `done` event."""

    def __init__(self, path: str, delays: list[float]) -> None:
        self.path = path
        self.delays = delays
        self.word_count = 0
        self.started_at = 0
        """Microsecond at which the stream started. Earlier words do not count as delayed."""
        self.unparsed = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        now = monotonic_ns() // 1000
        received = self.unparsed + data
        end = 0
        self.started_at = self.started_at or now
        for match in WORD.finditer(received):
            end = match.end()
            if int(match[1]) == self.word_count:  # the last event of a page's stream repeats all words
                self.word_count += 1
                if int(match[2]) >= self.started_at:
                    self.delays.append((now - int(match[2])) / 1000)
        self.unparsed = received[max(end, len(received) - 60) :]  # a word may arrive in two chunks
        if b"event: done" in received and not self.ended.done():
            self.ended.set_result(None)
            self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def median_figures(rounds: Sequence[Figures]) -> Figures:
    return Figures(*(median(column) for column in zip(*map(astuple, rounds), strict=True)))


def report(kind: str, figures: Mapping[str, Figures]) -> None:
    print(f"\n{kind}; medians")
    print(f"{'viewers':14}{'µs per word':>12}{'x relay':>10}{'p95 delay ms':>14}{'p99 health ms':>15}{'kB each':>10}")
    for transport, round_figures in figures.items():
        ratio = round_figures.microseconds / figures["relay"].microseconds
        cells = (
            f"{round_figures.microseconds:.0f}",
            f"{ratio:.2f}",
            *(f"{figure:.1f}" for figure in astuple(round_figures)[1:]),
        )
        print(f"{transport:14}" + "".join(f"{cell:>15}" for cell in cells))


def exceeded_limits(kind: str, figures: Mapping[str, Figures]) -> Iterator[str]:
    relay, unwatched = figures["relay"], figures["unwatched"]
    for transport, limit in MAX_CPU_RATIOS.items():
        round_figures = figures[transport]
        if (ratio := round_figures.microseconds / relay.microseconds) > limit:
            yield f"Too slow: a word as {transport} on {kind} costs {ratio:.2f} x the relay's (at most {limit})."
        if (added := round_figures.delay_ms - relay.delay_ms) > MAX_ADDED_DELAY_MS:
            yield f"Too late: words of {transport} on {kind} are {added:.1f} ms later (at most {MAX_ADDED_DELAY_MS})."
        if round_figures.health_ms > MAX_HEALTH_MS:
            yield f"Too slow: /health/live takes {round_figures.health_ms:.1f} ms on {kind} beside {transport}."
        if (viewer := round_figures.memory_kb - unwatched.memory_kb) > MAX_VIEWER_KB:
            yield f"Too large: a viewer of {transport} on {kind} takes {viewer:.0f} kB (at most {MAX_VIEWER_KB:.0f})."
    if unwatched.memory_kb > MAX_ANSWER_KB:
        yield f"Too large: an answer on {kind} takes {unwatched.memory_kb:.0f} kB (at most {MAX_ANSWER_KB:.0f})."
    if unwatched.health_ms > MAX_HEALTH_MS:
        yield f"Too slow: /health/live takes {unwatched.health_ms:.1f} ms on {kind} beside unwatched answers."


if __name__ == "__main__":
    sys.exit(main())
