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

MAX_FIRST_VISIT_BYTES = 130_000
"""Bytes."""
PAGES = ("/", "/", "/accounts/login", "/accounts/register")

Fetched = dict[str, int]
"""Bytes by URL."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="changes nothing: bytes are the same each time")
    parser.parse_args()
    if CHROMIUM is None:
        print("Chromium is missing: apt-get install chromium-headless-shell")
        return 0
    with site() as server:
        visits = asyncio.run(visit(f"http://127.0.0.1:{server.port}", CHROMIUM))
    for path, fetched in zip(PAGES, visits, strict=True):
        print(f"{sum(fetched.values()):9,} bytes in {len(fetched):2} answers: {path}")
        for address, count in sorted(fetched.items(), key=lambda item: -item[1]):
            print(f"{count:12,} {address}")
    static = [address for fetched in visits for address in fetched if address.startswith("/static")]
    if again := {address for address in static if static.count(address) > 1}:
        print("Fetched again:", *sorted(again))
    return int(sum(visits[0].values()) > MAX_FIRST_VISIT_BYTES or bool(again))


async def visit(address: str, chromium: str) -> list[Fetched]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = await browser.new_page()
        network = await page.context.new_cdp_session(page)
        await network.send("Network.enable")
        visits = []
        for path in PAGES:
            fetched = watch(network)
            await page.goto(address + path, wait_until="networkidle")
            visits.append(dict(fetched))
        await browser.close()
    return visits


def watch(network: CDPSession) -> Fetched:
    """Record requests from now on that the browser does not serve from its cache."""
    addresses: dict[str, str] = {}
    fetched: Fetched = {}

    def name(event: dict[str, str]) -> None:
        parts = urlsplit(event["request"]["url"])  # type: ignore[index]
        if parts.scheme == "http":
            addresses[event["requestId"]] = f"{parts.path}{'?' if parts.query else ''}{parts.query}"

    def count(event: dict[str, str]) -> None:
        if (address := addresses.get(event["requestId"])) and event["encodedDataLength"]:
            fetched[address] = fetched.get(address, 0) + int(event["encodedDataLength"])

    network.on("Network.requestWillBeSent", name)
    network.on("Network.loadingFinished", count)
    return fetched


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
