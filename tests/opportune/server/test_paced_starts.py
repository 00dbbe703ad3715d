"""Starts of requests that arrive together, in the order of their arrival."""

import asyncio

from starlette.types import Receive, Scope, Send

from opportune.server.paced_starts import MAX_STARTED_PER_TURN, PacedStarts

REQUEST_COUNT = 4 * MAX_STARTED_PER_TURN


class StartedRequests:
    """Application that records the paths of its requests."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        self.paths.append(scope["path"])


async def request(app: PacedStarts, path: str) -> None:
    async def receive() -> dict[str, object]:
        return {}

    async def send(_message: object) -> None:
        pass

    await app({"type": "http", "path": path}, receive, send)


def start_requests(app: PacedStarts) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(request(app, f"/{number}")) for number in range(REQUEST_COUNT)]


async def test_requests_start_in_order_of_arrival() -> None:
    started = StartedRequests()
    await asyncio.gather(*start_requests(PacedStarts(started)))
    assert started.paths == [f"/{number}" for number in range(REQUEST_COUNT)]


async def test_health_check_starts_before_waiting_requests() -> None:
    started = StartedRequests()
    app = PacedStarts(started)
    requests = start_requests(app)
    await asyncio.gather(request(app, "/health/live"), *requests)
    assert started.paths[MAX_STARTED_PER_TURN] == "/health/live"


async def test_cancelled_request_gives_its_turn_to_the_next() -> None:
    started = StartedRequests()
    requests = start_requests(PacedStarts(started))
    await asyncio.sleep(0)
    requests[MAX_STARTED_PER_TURN].cancel()
    await asyncio.wait(requests)
    assert len(started.paths) == REQUEST_COUNT - 1
