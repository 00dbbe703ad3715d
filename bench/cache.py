"""Requests per second of a cached page, of the same page without cache, and of a static JSON route.

Also the processor time of `cache.get` in memory, at most 20 µs, and the share of the rendering of a list of twenty rows
that `{% cache %}` saves, at least 80 %.

    .venv/bin/python -m bench.cache [--rounds 7] [--requests 1000]

One worker of the whole site per cache backend, measured in turn. The memory cache must reach 0.6 x the JSON route.
Redis needs a socket round trip per request, so that clearing the cache affects all processes immediately.
"""

import asyncio
import sys
import time
from statistics import median
from types import SimpleNamespace

from bench.harness.load import Request, drive
from bench.harness.options import BenchmarkParser
from bench.harness.servers import Server
from bench.harness.sites import serve_on_sqlite
from bench.harness.tasks import make_requests
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.testing.services.redis import PROGRAM, redis
from opportune.web.cache import Cache
from opportune.web.cache.store import MemoryStore
from opportune.web.rendering.environment import TemplateEnvironment

MIN_RATIO = 0.6
MAX_GET_MICROSECONDS = 20
MIN_SAVING = 0.8
PART = """{% cache "items", seconds=3600, tags=["items"] %}<ul>{% for row in rows %}
<li class="list-group-item"><a href="{{ url("/items/%d" | format(row.id)) }}">{{ row.name }}</a></li>{% endfor %}
</ul>{% endcache %}"""
CLIENT_CONNECTIONS = 16
JSON = "static JSON route"
CACHED = "page from the cache"
REQUESTS_BY_NAME = make_requests(cookie="")
PAGE = REQUESTS_BY_NAME["page"]
MEASURED = {
    JSON: REQUESTS_BY_NAME["ping"],
    CACHED: Request(PAGE.raw.replace(b" /items ", b" /items/kept "), PAGE.status, PAGE.marker),
    "page built each time": PAGE,
}


def main() -> int:
    parser = BenchmarkParser(__doc__, 7)
    parser.add_size("requests", 1000, 20, help="of each kind in each round")
    options = parser.read()
    is_quick = report_values(options.rounds, options.requests)
    ratio = report("memory", "memory:", options.rounds, options.requests)
    if PROGRAM:
        with redis() as url:
            report("Redis", url, options.rounds, options.requests)
    if not options.is_judged or (ratio >= MIN_RATIO and is_quick):
        return 0
    print(f"Too slow: a cached page is {ratio:.2f} x a static JSON route (at least {MIN_RATIO}), or a value or a part.")
    return 1


def report_values(rounds: int, count: int) -> bool:
    """Print the costs of values and parts in memory, and return whether they are within the limits."""
    microseconds, saving = asyncio.run(measure_values(rounds, count))
    print(f"\n{'cache.get':24}{microseconds:8.1f} µs (at most {MAX_GET_MICROSECONDS})")
    print(f"{'{% cache %}':24}{saving:8.0%} of the rendering saved (at least {MIN_SAVING:.0%})")
    return microseconds <= MAX_GET_MICROSECONDS and saving >= MIN_SAVING


async def measure_values(rounds: int, count: int) -> tuple[float, float]:
    """Return the processor time of `cache.get` in microseconds, and the saved share of the rendering of a part."""
    cache = Cache(MemoryStore())
    await cache.set("totals", {"books": 12, "loans": 3, "latest": "The Lord of the Rings"}, 3600, tags=["books"])
    template = TemplateEnvironment(autoescape=True).from_string(PART)
    app = SimpleNamespace(state=SimpleNamespace(cache=cache))
    rows = [{"id": number, "name": f"Item {number} & more"} for number in range(20)]
    gets, rendered, cached = list[float](), list[float](), list[float]()
    for _ in range(rounds + 1):
        started = time.process_time()
        for _ in range(count):
            await cache.get("totals")
        gets.append((time.process_time() - started) / count * 1e6)
        for cache.is_enabled, times in ((False, rendered), (True, cached)):
            with changes_come_from(ChangeOrigin("page", {"app": app, "scheme": "http", "headers": []})):
                started = time.process_time()
                for _ in range(count):
                    template.render(rows=rows)
            times.append(time.process_time() - started)
    return median(gets[1:]), 1 - median(cached[1:]) / median(rendered[1:])


def report(backend: str, cache_url: str, rounds: int, count: int) -> float:
    """Print the results and return the ratio of the cached page to the JSON route."""
    with serve_on_sqlite({"CACHE_URL": cache_url}) as site:
        rates = measure(site.server, rounds, count)
    print(f"\n{backend}, medians of {rounds} rounds\n")
    for name, rate in rates.items():
        print(f"{name:24}{rate:8.0f} a second{rate / rates[JSON]:8.2f} x")
    return rates[CACHED] / rates[JSON]


def measure(server: Server, rounds: int, count: int) -> dict[str, float]:
    """Return the requests per second of each page. A warm-up round is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in MEASURED}
    for number in range(rounds + 1):
        for name, request in MEASURED.items():
            seconds = drive(server.port, [request], count, CLIENT_CONNECTIONS)
            if number:
                rates[name].append(count / seconds)
    return {name: median(page_rates) for name, page_rates in rates.items()}


if __name__ == "__main__":
    sys.exit(main())
