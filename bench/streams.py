"""Costs of streamed answers, compared with a relay that stores nothing.

    .venv/bin/python -m bench.streams [--rounds 3] [--only sqlite]

One worker of the whole site streams 500 answers with ten words per second for 20 seconds to 500 API clients (JSON),
then to 500 pages (HTML), then to no client. The peer is a relay with 500 streams on Starlette and uvicorn. Results
are the processor time per word, the 95th percentile of the latency of words that were sent after the stream started,
the memory per answer and viewer, and the 99th percentile of `/health/live`. All words must arrive in order.
"""

import argparse
import asyncio
import json
import sys
import tempfile
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

from bench.accounts import has_passed, percentile_99, waits_for_health
from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve
from bench.peers.streams.words import WORD, WORD_INTERVAL_SECONDS
from bench.speed import DATABASES, ENOUGH_ROUNDS, addresses, chosen

END_TIMEOUT_SECONDS = 30
"""Seconds after the last word in which a stream must end."""
WAYS = ("relay", "json", "html", "nobody")
MAX_CPU_RATIOS = {"json": 3.0, "html": 5.0}
"""Maximum ratio to the relay's processor time per word."""
MAX_ADDED_DELAY_MS = 500.0
"""Maximum milliseconds above the relay's 95th percentile: 250 until a save, saving 500 answers, and rendering."""
MAX_WAIT_MS = 50.0
"""Milliseconds for `/health/live`, 99th percentile."""
MAX_ANSWER_KB, MAX_VIEWER_KB = 100.0, 20.0


@dataclass(frozen=True)
class Size:
    streams: int
    words: int


FULL, SMALL = Size(500, 200), Size(20, 10)


@dataclass(frozen=True)
class Figures:
    """Results of a round."""

    microseconds: float
    """Processor time per word."""
    delay_ms: float
    wait_ms: float
    memory_kb: float
    """Growth per stream after half of the words."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=chosen(*DATABASES), default=DATABASES, help=", ".join(DATABASES))
    options = parser.parse_args()
    is_judged = options.rounds >= ENOUGH_ROUNDS
    size, faults = FULL if is_judged else SMALL, list[str]()
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn")) as client:
        for kind in options.only:
            with addresses(kind, Path(folder)) as address:
                url = address("streams")
                run(["-m", PEERS["ours"].prepare], environment(**PEERS["ours"].environ_for(url)))
                rounds = [
                    {way: play(way, url, size, Path(folder), client) for way in WAYS} for _ in range(options.rounds)
                ]
            figures = {way: middle([each[way] for each in rounds]) for way in WAYS}
            show(kind, figures)
            faults += excesses(kind, figures)
    print("\n".join(faults if is_judged else ()))
    return int(is_judged and bool(faults))


def play(way: str, url: str, size: Size, folder: Path, client: Executor) -> Figures:
    with server_of(way, url, folder) as server:
        client.submit(look, server.port, addresses_of(way, server.port, Size(3, 2)), 2).result()  # one-time work
        memory, before = server.memory_kb(), server.cpu_seconds()
        paths = addresses_of(way, server.port, size)
        looking: Future[list[float]] = client.submit(look, server.port, paths, size.words)
        length = size.words * WORD_INTERVAL_SECONDS
        started = perf_counter()
        times = waits_for_health(server.port, partial(has_passed, started + length / 2))
        grown = (server.memory_kb() - memory) / size.streams
        times += waits_for_health(server.port, partial(has_passed, started + length))
        delays = looking.result()
        spent = server.cpu_seconds() - before
    delay = quantiles(delays, n=20)[18] if delays else 0.0
    return Figures(spent / size.streams / size.words * 1e6, delay, percentile_99(times), grown)


@contextmanager
def server_of(way: str, url: str, folder: Path) -> Iterator[Server]:
    if way == "relay":
        command = ["-m", "uvicorn", "bench.peers.streams.relay:app", "--port", "{port}", "--no-access-log"]
        environ = environment()
    else:
        command = ["-m", "bench.peers.streams.ours"]
        unlimited = {"LLM_MAX_PARALLEL": "1000", "LLM_MAX_TOKENS_PER_VISITOR_PER_DAY": "0"}
        environ = environment(**PEERS["ours"].environ_for(url), **unlimited)
    with serve(command, environ, folder / "log") as server:
        yield server


def addresses_of(way: str, port: int, size: Size) -> list[str]:
    """Start the answers and return the URLs of their streams."""
    if way == "relay":
        return [f"/stream?words={size.words}"] * size.streams
    connection = HTTPConnection("127.0.0.1", port, timeout=END_TIMEOUT_SECONDS)
    connection.request("POST", f"/api/v1/bench/answers?count={size.streams}&words={size.words}")
    response = connection.getresponse()
    if response.status != HTTPStatus.OK:
        sys.exit(f"Answers cannot begin: {response.status} {response.read()!r}")
    ids = json.loads(response.read())
    connection.close()
    return [] if way == "nobody" else [f"/api/v1/bench/answers/{each}/{way}" for each in ids]


def look(port: int, paths: Sequence[str], words: int) -> list[float]:
    """Return the milliseconds from sending to arrival of each word of all streams.

    Raises:
        ValueError: A word is missing.
    """
    return uvloop.run(_look(port, paths, words))


async def _look(port: int, paths: Sequence[str], words: int) -> list[float]:
    delays = list[float]()
    loop = asyncio.get_running_loop()
    viewers = [(await loop.create_connection(partial(Viewer, path, delays), "127.0.0.1", port))[1] for path in paths]
    if viewers:
        await asyncio.wait(
            [viewer.ended for viewer in viewers], timeout=words * WORD_INTERVAL_SECONDS + END_TIMEOUT_SECONDS
        )
    if short := [viewer.seen for viewer in viewers if viewer.seen != words]:
        raise ValueError(f"{len(short)} of {len(paths)} streams lost words: {short[0]} of {words} came.")
    return delays


class Viewer(asyncio.Protocol):
    """Connection that reads a stream until its `done` event."""

    def __init__(self, path: str, delays: list[float]) -> None:
        self.path = path
        self.delays = delays
        self.seen = 0
        self.began_at = 0
        """Microsecond at which the stream started. Earlier words do not count as delayed."""
        self.rest = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        now, received = monotonic_ns() // 1000, self.rest + data
        end, self.began_at = 0, self.began_at or now
        for found in WORD.finditer(received):
            end = found.end()
            if int(found[1]) == self.seen:  # the last event of a page's stream repeats all words
                self.seen += 1
                if int(found[2]) >= self.began_at:
                    self.delays.append((now - int(found[2])) / 1000)
        self.rest = received[max(end, len(received) - 60) :]  # a word may arrive in two chunks
        if b"event: done" in received and not self.ended.done():
            self.ended.set_result(None)
            self.transport.close()

    def connection_lost(self, _fault: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def middle(rounds: Sequence[Figures]) -> Figures:
    return Figures(*(median(column) for column in zip(*map(astuple, rounds), strict=True)))


def show(kind: str, figures: Mapping[str, Figures]) -> None:
    print(f"\n{kind}; medians")
    print(
        f"{'looked at by':14}{'µs a word':>12}{'x relay':>10}{'p95 delay ms':>14}{'p99 health ms':>15}{'kB each':>10}"
    )
    for way, each in figures.items():
        ratio = each.microseconds / figures["relay"].microseconds
        cells = (f"{each.microseconds:.0f}", f"{ratio:.2f}", *(f"{figure:.1f}" for figure in astuple(each)[1:]))
        print(f"{way:14}" + "".join(f"{cell:>15}" for cell in cells))


def excesses(kind: str, figures: Mapping[str, Figures]) -> Iterator[str]:
    relay, nobody = figures["relay"], figures["nobody"]
    for way, limit in MAX_CPU_RATIOS.items():
        each = figures[way]
        if (ratio := each.microseconds / relay.microseconds) > limit:
            yield f"Too slow: a word as {way} on {kind} costs {ratio:.2f} x the relay's (at most {limit})."
        if (added := each.delay_ms - relay.delay_ms) > MAX_ADDED_DELAY_MS:
            yield f"Too late: as {way} on {kind} words come {added:.1f} ms later (at most {MAX_ADDED_DELAY_MS})."
        if each.wait_ms > MAX_WAIT_MS:
            yield f"Too long: others wait {each.wait_ms:.1f} ms for /health/live on {kind} beside {way}."
        if (viewer := each.memory_kb - nobody.memory_kb) > MAX_VIEWER_KB:
            yield f"Too large: a viewer of {way} on {kind} takes {viewer:.0f} kB (at most {MAX_VIEWER_KB:.0f})."
    if nobody.memory_kb > MAX_ANSWER_KB:
        yield f"Too large: an answer on {kind} takes {nobody.memory_kb:.0f} kB (at most {MAX_ANSWER_KB:.0f})."
    if nobody.wait_ms > MAX_WAIT_MS:
        yield f"Too long: others wait {nobody.wait_ms:.1f} ms for /health/live on {kind} beside nobody's answers."


if __name__ == "__main__":
    sys.exit(main())
