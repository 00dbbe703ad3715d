"""Requests that come at once begin one after the other."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from opportune.server.proxies import ServerConfig
from opportune.server.request_turns import MAX_BEGUN_PER_TURN, RequestTurns
from tests.opportune.loop_turns import TIMEOUT_SECONDS, growth_in_each_turn

MANY = 3 * MAX_BEGUN_PER_TURN


class Site:
    """An application that answers when its gate opens, and knows who has begun."""

    def __init__(self) -> None:
        self.begun = list[str]()
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        self.begun.append(scope.get("path", scope["type"]))
        await self.gate.wait()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    found = Site()
    yield found
    found.gate.set()


def ask(turns: RequestTurns, *paths: str) -> list[asyncio.Task[None]]:
    """Requests as uvicorn begins them: a task for each."""
    return [asyncio.create_task(_answered(turns, {"type": "http", "path": path})) for path in paths]


async def _answered(turns: RequestTurns, scope: Scope) -> None:
    await turns(scope, None, None)  # type: ignore[arg-type]  # nobody asks for them here


async def test_requests_that_come_at_once_begin_in_turns_and_in_their_order(site: Site) -> None:
    paths = [f"/{number}" for number in range(MANY)]
    requests = ask(RequestTurns(site), *paths)
    assert max(await growth_in_each_turn(site.begun, MANY)) == MAX_BEGUN_PER_TURN
    assert site.begun == paths
    site.gate.set()
    await asyncio.wait_for(asyncio.gather(*requests), TIMEOUT_SECONDS)


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_a_health_check_passes_all_that_wait(site: Site, path: str) -> None:
    ask(RequestTurns(site), *(f"/{number}" for number in range(MANY)), path)
    await asyncio.sleep(0)
    assert site.begun[MAX_BEGUN_PER_TURN:] == [path]


async def test_requests_that_wait_for_something_keep_no_others_waiting(site: Site) -> None:
    turns = RequestTurns(site)
    ask(turns, *(f"/slow/{number}" for number in range(MANY)))
    await growth_in_each_turn(site.begun, MANY)
    ask(turns, "/quick")
    await growth_in_each_turn(site.begun, MANY + 1)
    assert site.begun[-1] == "/quick"


async def test_what_a_request_raises_reaches_the_server() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(0)
        raise LookupError

    asked = ask(RequestTurns(broken), *["/"] * (MAX_BEGUN_PER_TURN + 1))
    raised = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in raised] == [LookupError] * (MAX_BEGUN_PER_TURN + 1)


async def test_a_start_waits_for_no_turn_and_the_server_asks_in_turns(site: Site) -> None:
    config = ServerConfig(site, log_config=None)
    config.load()
    assert isinstance(config.loaded_app, RequestTurns)
    site.gate.set()
    for _ in range(MAX_BEGUN_PER_TURN + 1):
        await config.loaded_app({"type": "lifespan"}, None, None)  # type: ignore[arg-type]  # as above
    assert site.begun == ["lifespan"] * (MAX_BEGUN_PER_TURN + 1)
