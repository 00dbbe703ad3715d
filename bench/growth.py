"""Memory of one worker that answers many different requests.

    .venv/bin/python -m bench.growth [--requests 20000]

The requests are pages, lists with all combinations of filters, search and order, unknown addresses and invalid
values. Nothing is judged.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from bench.harness.load import Request, drive
from bench.harness.peers import PEERS
from bench.harness.servers import environment, run, serve
from bench.resident import COMMANDS, look_at_first_page

REQUESTS, SAMPLE_REQUESTS = 20_000, 2_000
CONNECTIONS = 8
PAGES = ("/", "/accounts/tokens", "/events", "/todos", "/accounts/profile", "/accounts/sessions", "/teams", "/chat")
ORDERS = ("", "due_on", "-due_on", "title", "-title", "created_at", "-created_at")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    measure(parser.parse_args().requests)


def measure(count: int) -> None:
    """Print the memory after the first page and after each sample of requests."""
    peer = PEERS["ours"]
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(**peer.environ_for(f"sqlite:///{folder}/site.db"))
        requests = mixed_requests(run(("-m", peer.prepare), environ))
        with serve(COMMANDS["ours"], environ, Path(folder) / "log") as server:
            look_at_first_page(server.port, "/")
            print(f"{'after the first page':38}{server.resident_mb():6.1f} MB")
            for number in range(SAMPLE_REQUESTS, count + 1, SAMPLE_REQUESTS):
                sample = [next(requests) for _ in range(SAMPLE_REQUESTS)]
                drive(server.port, sample, SAMPLE_REQUESTS, CONNECTIONS)
                print(f"{f'after {number:,} requests':38}{server.resident_mb():6.1f} MB", flush=True)


def mixed_requests(cookie: str) -> Iterator[Request]:
    """Requests of a user who is signed in, the same in each run."""
    random = Random(1)  # noqa: S311 - chance is for no secret
    while True:
        word = f"{random.random():x<20}"
        yield get(random.choice(PAGES), cookie, 200)
        yield get(f"/todos?{_list_query(random)}", cookie, 200)
        yield get(f"/api/v1/todos?{_list_query(random)}", cookie, 200)
        yield get(f"/unknown/{word}", cookie, 404)
        yield get(f"/api/v1/todos?due_on__gte={word}", cookie, 422)


def get(address: str, cookie: str, status: int) -> Request:
    head = f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: {cookie}\r\n\r\n"
    return Request(head.encode(), status, b"")


def _list_query(random: Random) -> str:
    """Filters, search words and an order, each of them or not."""
    query = {
        "q": " ".join(f"{random.random()}" for _ in range(random.randint(0, 4))),
        "due_on__gte": random.choice(("", "2026-01-01")),
        "due_on__lte": random.choice(("", "2026-12-31")),
        "state": random.choice(("", "open", "done", "overdue")),
        "sort": random.choice(ORDERS),
    }
    return urlencode({name: value for name, value in query.items() if value})


if __name__ == "__main__":
    main()
