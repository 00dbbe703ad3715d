"""Memory of one worker after many different requests.

    .venv/bin/python -m bench.growth [--rounds 10]

The requests are pages, lists with all combinations of filters, search and order, unknown URLs and invalid
values. Nothing is judged.
"""

from collections.abc import Iterator
from itertools import islice
from random import Random
from urllib.parse import urlencode

from bench.harness.load import Request, drive
from bench.harness.options import BenchmarkParser
from bench.harness.sites import serve_on_sqlite
from bench.harness.tasks import encode_request
from bench.resident import load_page

REQUESTS_PER_ROUND, TEST_REQUESTS = 2_000, 20
MAX_CONNECTIONS = 8
PAGES = ("/", "/items", "/accounts/tokens", "/accounts/profile", "/accounts/sessions", "/teams")
ORDERS = ("", "id", "-id", "title", "-title", "created_at", "-created_at")


def main() -> None:
    options = BenchmarkParser(__doc__, 10, f"of {REQUESTS_PER_ROUND:,} requests each").read()
    measure(options.rounds, REQUESTS_PER_ROUND if options.is_judged else TEST_REQUESTS)


def measure(rounds: int, count: int) -> None:
    """Print the memory after the first page and after each round."""
    with serve_on_sqlite() as site:
        requests = mixed_requests(site.cookie)
        load_page(site.server.port, "/")
        print(f"{'after the first page':38}{site.server.resident_mb():6.1f} MB")
        for number in range(1, rounds + 1):
            drive(site.server.port, list(islice(requests, count)), count, MAX_CONNECTIONS)
            print(f"{f'after {number * count:,} requests':38}{site.server.resident_mb():6.1f} MB", flush=True)


def mixed_requests(cookie: str) -> Iterator[Request]:
    """Return requests of a signed-in user, the same in each run."""
    random = Random(1)  # noqa: S311 - not used for secrets
    while True:
        word = f"{random.random():x<20}"
        yield get_request(random.choice(PAGES), cookie, 200)
        yield get_request(f"/filtered?{_list_query(random)}", cookie, 200)
        yield get_request(f"/api/v1/filtered?{_list_query(random)}", cookie, 200)
        yield get_request(f"/unknown/{word}", cookie, 404)
        yield get_request(f"/api/v1/filtered?created_at__gte=no-date-{word}", cookie, 422)


def get_request(path: str, cookie: str, status: int) -> Request:
    return Request(encode_request("GET", path, "text/html", cookie=cookie), status, b"")


def _list_query(random: Random) -> str:
    """Return a random combination of filters, search words and order."""
    query = {
        "q": " ".join(f"{random.random()}" for _ in range(random.randint(0, 4))),
        "created_at__gte": random.choice(("", "2026-01-01T00:00:00Z")),
        "created_at__lte": random.choice(("", "2027-01-01T00:00:00Z")),
        "done": random.choice(("", "true", "false")),
        "sort": random.choice(ORDERS),
    }
    return urlencode({name: value for name, value in query.items() if value})


if __name__ == "__main__":
    main()
