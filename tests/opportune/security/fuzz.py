"""Fuzz the API with schemathesis: `python -m tests.opportune.security.fuzz --examples 200`."""

import argparse
import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI

from opportune.testing.access import headers_by_role, site_with_database
from opportune.testing.plugin import migrate
from opportune.testing.services.postgres import postgres
from tests.opportune.security.api_faults import People, faults


async def people_of(app: FastAPI) -> People:
    """An owner of rows of each table, and an anonymous user. Starts and stops the app."""
    async with app.router.lifespan_context(app):
        everybody = await headers_by_role(app)
    return everybody["owner"], everybody["anonymous"]


def run(url: str, examples: int, say: Callable[[str], object]) -> int:
    """Fill an empty database, send requests, and return the number of crashes."""
    migrate(url)
    people = asyncio.run(people_of(site_with_database(url)))
    found = list(faults(site_with_database(url), people, examples))
    say("\n".join([*found, f"{len(found)} faults on {url.partition(':')[0]}"]))
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="for each operation, valid and invalid")
    examples = parser.parse_args().examples
    logging.disable()
    with TemporaryDirectory() as folder, postgres() as server:
        urls = f"sqlite:///{Path(folder) / 'site.db'}", server.create_database("fuzzed")
        found = sum(run(url, examples, lambda text: os.write(1, f"{text}\n".encode())) for url in urls)
    raise SystemExit(min(found, 1))


if __name__ == "__main__":
    main()
