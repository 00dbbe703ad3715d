"""Processor time of a list with 100 texts: plain, English and German; and the memory of each loaded language.

    .venv/bin/python -m bench.languages [--rounds 30] [--requests 30]

Two servers of one worker each, with English only and with all languages of the framework, get requests in turn. Ratios
are medians of those in each round, because load of the machine changes both pages of a round alike. Memory is that of
the server with all languages, minus that of the other one after the same number of requests. It includes Babel.
"""

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.harness.load import Request, drive
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PEERS, Server
from bench.harness.sites import serve_site
from bench.harness.tasks import page_request

LANGUAGES = ("de", "fr", "es", "ar", "ja", "zh-Hans")
MAX_ENGLISH_RATIO = 1.05
MAX_GERMAN_RATIO = 1.05
MAX_LANGUAGE_MB = 3.0
SETTLE_SECONDS = 5.0


def text_page(language: str, path: str = "/items/texts") -> Request:
    return page_request(path, f"language={language}", f'<html lang="{language}"')


PAGES = {
    "plain": text_page("en", "/items/texts/plain"),
    "English": text_page("en"),
    "German": text_page("de"),
}


def main() -> int:
    parser = BenchmarkParser(__doc__, 30)
    parser.add_size("requests", 30, 2, help="of each kind in each round")
    options = parser.read()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        english = start(stack, Path(folder), "en")
        translated = start(stack, Path(folder), ",".join(["en", *LANGUAGES]))
        megabytes = measure_memory(english, translated, options)
        times = measure_times(translated, options.rounds, options.requests)
    ratios = median_ratio(times["English"], times["plain"]), median_ratio(times["German"], times["English"])
    for name, microseconds in times.items():
        print(f"{name:24}{median(microseconds):8.0f} µs of processor time per page")
    print(f"{'English / plain':24}{ratios[0]:8.2f} (at most {MAX_ENGLISH_RATIO})")
    print(f"{'German / English':24}{ratios[1]:8.2f} (at most {MAX_GERMAN_RATIO})")
    print(f"{'memory of a language':24}{megabytes:8.1f} MB (at most {MAX_LANGUAGE_MB})")
    exceeded = ratios[0] > MAX_ENGLISH_RATIO or ratios[1] > MAX_GERMAN_RATIO or megabytes > MAX_LANGUAGE_MB
    return int(options.is_judged and exceeded)


def start(stack: ExitStack, folder: Path, languages: str) -> Server:
    name = f"languages{len(languages)}"
    site = serve_site(f"sqlite:///{folder / name}.db", folder, {"LANGUAGES": languages}, name, PEERS["ours"])
    return stack.enter_context(site).server


def measure_memory(english: Server, translated: Server, options: Namespace) -> float:
    """Return the mean MB of each language except English."""
    for language in LANGUAGES:
        drive(english.port, [text_page("en")], options.requests, 1)
        drive(translated.port, [text_page(language)], options.requests, 1)
    time.sleep(SETTLE_SECONDS if options.is_judged else 0)
    return (translated.resident_mb() - english.resident_mb()) / len(LANGUAGES)


def measure_times(server: Server, rounds: int, count: int) -> dict[str, list[float]]:
    """Return the microseconds of processor time of each page by round. A warm-up round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in PAGES}
    for number in range(rounds + 1):
        for name, request in PAGES.items():
            before = server.cpu_seconds()
            drive(server.port, [request], count, 1)
            if number:
                times[name].append((server.cpu_seconds() - before) / count * 1e6)
    return times


def median_ratio(times: Sequence[float], other_times: Sequence[float]) -> float:
    return median(page / other for page, other in zip(times, other_times, strict=True))


if __name__ == "__main__":
    sys.exit(main())
