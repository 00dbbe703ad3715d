"""The admin's list of attendees with 50,000 rows beside the same list with 500.

    .venv/bin/python -m bench.features.events.admin [--rounds 15] [--only sqlite]

Two sites in this process serve the same pages in turn. The results are medians in milliseconds.
"""

import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from httpx2 import AsyncClient
from sqlalchemy import insert

from bench.harness.client import fetch_page, site_client
from bench.harness.databases import NewUrl, run_on_databases
from bench.harness.options import BenchmarkParser, comma_separated_numbers
from opportune.db import Database, utc_now
from opportune.testing import make_user, sign_in
from opportune.testing.migrations import migrate

ROWS, TEST_ROWS = [500, 50_000], [50, 100]
STORED_EVENTS = 10
MAX_RATIO = 1.3
"""Maximum ratio to the time with few rows. Smaller differences are noise."""
BATCH_ROWS = 5000
LIST = "/admin/registration/list"
PAGES = {
    "the list": "",
    "its second page": "?page=2",
    "by date": "?sortBy=created_at&sort=desc",
    "of one event": "?event_id=3",
    "of one group": "?group_op=equals&group=speakers",
    "of present attendees": "?is_present=true",
}

Clients = Mapping[int, AsyncClient]
Times = dict[str, dict[int, list[float]]]


def main() -> int:
    if find_spec("app.events") is None:
        print("The feature whose list is measured, events, is not installed.")
        return 0
    parser = BenchmarkParser(__doc__, 15)
    parser.add_size("rows", ROWS, TEST_ROWS, type=comma_separated_numbers, help="few,many")
    return run_on_databases(parser, run_on)


def run_on(options: Namespace, kind: str, new_url: NewUrl, _folder: Path) -> list[str]:
    urls = {rows: new_url(f"rows_{rows}") for rows in options.rows}
    for url in urls.values():
        migrate(url)
    return report(kind, options.rows, uvloop.run(measure(urls, options.rounds)))


async def measure(urls: Mapping[int, str], rounds: int) -> Times:
    """Return milliseconds by round, page and number of rows. A warm-up round is not counted."""
    times: Times = {page: {rows: [] for rows in urls} for page in PAGES}
    async with AsyncExitStack() as stack:
        clients = {rows: await stack.enter_async_context(site(url, rows)) for rows, url in urls.items()}
        for round_number in range(-1, rounds):
            for page, query in PAGES.items():
                for rows in clients if round_number % 2 else reversed(clients):
                    milliseconds = await measure_page_ms(clients[rows], LIST + query)
                    if round_number >= 0:
                        times[page][rows].append(milliseconds)
    return times


@asynccontextmanager
async def site(url: str, rows: int) -> AsyncIterator[AsyncClient]:
    """Return a client of a superuser on a site with this many attendees."""
    async with site_client(url) as (app, client):
        await add_attendees(app.state.database, rows)
        await sign_in(client, app, await make_user(app.state.database, is_superuser=True))
        yield client


async def add_attendees(database: Database, rows: int) -> None:
    from app.events.models import Event, Registration  # the feature may have been deleted

    async with database.writer() as session:
        start = utc_now() + timedelta(days=7)
        events = [
            Event(title=f"Event {n}", slug=f"event-{n}", starts_at=start, ends_at=start, capacity=rows)
            for n in range(STORED_EVENTS)
        ]
        session.add_all(events)
        await session.flush()
        rows_to_insert = list(attendees(rows, [event.id for event in events]))
        for begin in range(0, rows, BATCH_ROWS):
            await session.execute(insert(Registration), rows_to_insert[begin : begin + BATCH_ROWS])


def attendees(rows: int, events: list[int]) -> Iterator[dict[str, Any]]:
    first = utc_now() - timedelta(days=60)
    for n in range(rows):
        yield {
            "event_id": events[n % STORED_EVENTS],
            "name": f"Attendee {n}",
            "email": f"attendee{n}@example.com",
            "organisation": f"Organisation {n % 97}",
            "question": "",
            "photo": "",
            "group": ("speakers", "guests", "press", "")[n // STORED_EVENTS % 4],
            "notes": "",
            "is_present": n % 3 == 0,
            "created_at": first + timedelta(seconds=n),
        }


async def measure_page_ms(client: AsyncClient, address: str) -> float:
    started = time.perf_counter()
    await fetch_page(client, address, "attendee")
    return (time.perf_counter() - started) * 1000


def report(kind: str, rows: Sequence[int], times: Times) -> list[str]:
    """Print the table and return a line for each page that is too slow."""
    few_rows, many_rows = rows
    print(f"\n{kind + ', ms':24}{few_rows:>8,}{many_rows:>8,}   ratio")
    slow = []
    for page, by_rows in times.items():
        few, many = median(by_rows[few_rows]), median(by_rows[many_rows])
        print(f"{page:24}{few:8.1f}{many:8.1f}{many / few:8.2f}")
        if page == "the list" and many / few > MAX_RATIO:
            slow.append(
                f"Too slow: {page} of {many_rows:,} on {kind} is {many / few:.2f} x that of {few_rows} "
                f"(at most {MAX_RATIO})."
            )
    return slow


if __name__ == "__main__":
    sys.exit(main())
