"""Bytes that a browser fetches on the first and on later pages.

    .venv/bin/python -m bench.weight [--rounds 1]

Chromium with an empty cache visits the site in production mode. It counts bytes on the wire, including headers. Static
files must not be fetched twice. A page may have an additional script.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, async_playwright

from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve
from opportune.testing.services.browser import ARGUMENTS, CHROMIUM

MAX_FIRST_VISIT_BYTES = 190_000
PAGES = ("/", "/", "/accounts/login", "/accounts/register")

BytesByUrl = dict[str, int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="changes nothing: bytes are the same each time")
    parser.parse_args()
    if CHROMIUM is None:
        print("Chromium is missing: apt-get install chromium-headless-shell")
        return 0
    with site() as server:
        visits = asyncio.run(visit(f"http://127.0.0.1:{server.port}", CHROMIUM))
    for path, byte_counts in zip(PAGES, visits, strict=True):
        print(f"{sum(byte_counts.values()):9,} bytes in {len(byte_counts):2} responses: {path}")
        for url, size in sorted(byte_counts.items(), key=lambda item: -item[1]):
            print(f"{size:12,} {url}")
    static = [url for byte_counts in visits for url in byte_counts if url.startswith("/static")]
    if repeated := {url for url in static if static.count(url) > 1}:
        print("Static files fetched twice:", *sorted(repeated))
    return int(sum(visits[0].values()) > MAX_FIRST_VISIT_BYTES or bool(repeated))


async def visit(url: str, chromium: str) -> list[BytesByUrl]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page()
        network = await page.context.new_cdp_session(page)
        await network.send("Network.enable")
        visits = []
        for path in PAGES:
            byte_counts = record_requests(network)
            await page.goto(url + path, wait_until="networkidle")
            visits.append(dict(byte_counts))
        await browser.close()
    return visits


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


@contextmanager
def site() -> Iterator[Server]:
    peer = PEERS["ours"]
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(**peer.environ_for(f"sqlite:///{folder}/site.db"))
        run(["-m", peer.prepare], environ)
        with serve(peer.serve, environ, Path(folder) / "log") as server:
            yield server


if __name__ == "__main__":
    sys.exit(main())
