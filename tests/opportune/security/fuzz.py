"""Fuzz the API with schemathesis: `python -m tests.opportune.security.fuzz --examples 200`."""

import argparse
import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI

from opportune.testing.access.sites import headers_by_role, site_with_database
from opportune.testing.migrations import migrate
from opportune.testing.services.postgres import postgres
from tests.opportune.security.api_faults import UserHeaders, find_crashes


async def owner_and_visitor_headers(app: FastAPI) -> UserHeaders:
    """Return the headers of an owner of rows and of an anonymous user. Starts and stops the app."""
    async with app.router.lifespan_context(app):
        headers = await headers_by_role(app)
    return headers["owner"], headers["anonymous"]


def fuzz_database(url: str, examples: int, write_line: Callable[[str], object]) -> int:
    """Fill an empty database, send requests, and return the number of crashes."""
    migrate(url)
    users = asyncio.run(owner_and_visitor_headers(site_with_database(url)))
    crashes = list(find_crashes(site_with_database(url), users, examples))
    write_line("\n".join([*crashes, f"{len(crashes)} crashes on {url.partition(':')[0]}"]))
    return len(crashes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation, valid and invalid")
    examples = parser.parse_args().examples
    logging.disable()
    with TemporaryDirectory() as folder, postgres() as server:
        urls = f"sqlite:///{Path(folder) / 'site.db'}", server.create_database("fuzzed")
        crash_count = sum(fuzz_database(url, examples, lambda text: os.write(1, f"{text}\n".encode())) for url in urls)
    raise SystemExit(min(crash_count, 1))


if __name__ == "__main__":
    main()
