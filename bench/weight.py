"""Bytes, requests and largest contentful paint (LCP) of a first visit of the site and of its admin.

    .venv/bin/python -m bench.weight [--rounds 3]

Chromium with an empty cache visits the site in production mode. It counts bytes on the wire, including headers. Static
files must not be fetched twice. LCP is the median of several visits over slow 4G (1.6 Mbit/s, 150 ms): its goals are
printed, but a busy machine may miss them.
"""

import asyncio
import sys
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from bench.harness.options import BenchmarkParser
from bench.harness.sites import serve_on_sqlite
from bench.harness.tasks import ADDITIONAL_ROWS_VARIABLE
from opportune.testing.services.browser import ARGUMENTS, CHROMIUM

PAGES = ("/", "/", "/accounts/login", "/accounts/register")
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
LCP = """new Promise((done) => new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime / 1000))
  .observe({ type: "largest-contentful-paint", buffered: true }))"""


class Goal(NamedTuple):
    """Limits of a first visit."""

    path: str
    max_bytes: int
    max_requests: int
    lcp_seconds: float


GOALS = (Goal("/", 130_000, 12, 1.0), Goal("/admin/", 150_000, 16, 1.8))

STABLE_VISITS = 5
"""Number of visits, one each second, with the same style sheet."""
BytesByUrl = dict[str, int]


def main() -> int:
    rounds = BenchmarkParser(__doc__, 3, "visits over slow 4G; bytes are the same each time").read().rounds
    if CHROMIUM is None:
        print("Chromium is missing: apt-get install chromium-headless-shell")
        return 0
    with serve_on_sqlite({ADDITIONAL_ROWS_VARIABLE: "1"}) as site:
        is_met = asyncio.run(measure(f"http://127.0.0.1:{site.server.port}", CHROMIUM, site.cookie, rounds))
    return int(not is_met)


async def measure(url: str, chromium: str, cookie: str, rounds: int) -> bool:
    """Print the figures, and return whether the bytes and requests are within the goals."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        await wait_for_styles(browser, url)
        is_met = await visit_pages(browser, url)
        for goal in GOALS:
            is_met &= await measure_first_visit(browser, url, cookie, goal, rounds)
        await browser.close()
    return is_met


async def wait_for_styles(browser: Browser, url: str) -> None:
    """Wait until the site has selected the used styles and cut the typefaces in the background.

    Each of them changes the URL of the style sheet.
    """
    page = await browser.new_page()
    is_cut = "async () => (await (await fetch(document.querySelector('[rel=stylesheet]').href)).text()).length < 400000"
    urls: list[str | None] = []
    while len(urls) < STABLE_VISITS or len({*urls[-STABLE_VISITS:]}) > 1 or not await page.evaluate(is_cut):
        if urls:
            await asyncio.sleep(1)
        await page.goto(url)
        urls.append(await page.locator("[rel=stylesheet]").first.get_attribute("href"))
    await page.close()


async def visit_pages(browser: Browser, url: str) -> bool:
    """Print the bytes of several pages, and return whether each static file is fetched once."""
    page, network = await open_page(browser)
    static: list[str] = []
    for path in PAGES:
        byte_counts = record_requests(network)
        await page.goto(url + path, wait_until="networkidle")
        print_visit(path, byte_counts)
        static += [url for url in byte_counts if url.startswith("/static")]
    await page.context.close()
    if repeated := {url for url in static if static.count(url) > 1}:
        print("Static files fetched twice:", *sorted(repeated))
    return not repeated


async def measure_first_visit(browser: Browser, url: str, cookie: str, goal: Goal, rounds: int) -> bool:
    name, value = cookie.split("=", 1)
    seconds = []
    for _ in range(max(rounds, 1)):
        page, network = await open_page(browser)
        if goal.path.startswith("/admin"):
            await page.context.add_cookies(
                [{"name": name, "value": value, "url": url.replace("http:", "https:"), "secure": True}]
            )
        byte_counts = record_requests(network)
        await network.send("Network.emulateNetworkConditions", SLOW_4G)
        await page.goto(url + goal.path, wait_until="networkidle")
        seconds.append(float(await page.evaluate(LCP)))
        await page.context.close()
    size, count, lcp = sum(byte_counts.values()), len(byte_counts), median(seconds)
    print(f"First visit of {goal.path}: {size:,} bytes (goal {goal.max_bytes:,}), {count} requests ", end="")
    print(f"(goal {goal.max_requests}), LCP {lcp:.2f} s over slow 4G (goal {goal.lcp_seconds})")
    print_visit(goal.path, byte_counts)
    return size <= goal.max_bytes and count <= goal.max_requests


async def open_page(browser: Browser) -> tuple[Page, CDPSession]:
    """Open a page with an empty cache."""
    context = await browser.new_context()
    page = await context.new_page()
    network = await context.new_cdp_session(page)
    await network.send("Network.enable")
    return page, network


def print_visit(path: str, byte_counts: BytesByUrl) -> None:
    print(f"{sum(byte_counts.values()):9,} bytes in {len(byte_counts):2} responses: {path}")
    for url, size in sorted(byte_counts.items(), key=lambda item: -item[1]):
        print(f"{size:12,} {url}")


def record_requests(network: CDPSession) -> BytesByUrl:
    """Record requests from now on that the browser does not serve from its cache."""
    urls: dict[str, str] = {}
    byte_counts: BytesByUrl = {}

    def remember_url(event: dict[str, str]) -> None:
        parts = urlsplit(event["request"]["url"])  # type: ignore[index]
        if parts.scheme == "http":
            urls[event["requestId"]] = f"{parts.path}{'?' if parts.query else ''}{parts.query}"

    def count_bytes(event: dict[str, str]) -> None:
        if (url := urls.get(event["requestId"])) and event["encodedDataLength"]:
            byte_counts[url] = byte_counts.get(url, 0) + int(event["encodedDataLength"])

    network.on("Network.requestWillBeSent", remember_url)
    network.on("Network.loadingFinished", count_bytes)
    return byte_counts


if __name__ == "__main__":
    sys.exit(main())
