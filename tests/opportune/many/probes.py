"""Requests that several tests send to machines."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence

import httpx2

from tests.opportune.many.ledger import MAX_HITS
from tests.opportune.many.machines import Machine

PASSWORD = "correct horse battery staple"
SHARED_SECONDS = 180.0


async def sign_in(machine: Machine, email: str) -> dict[str, str]:
    async with machine.client() as client:
        registration = await client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
        assert registration.status_code == 201, registration.text
        response = await client.post("/api/v1/auth/login", data={"username": email, "password": PASSWORD})
        return {"Authorization": f"Bearer {response.json()['access_token']}"}


async def hit_limit(url: str, subject: str, times: int = 1) -> Counter[int]:
    async with httpx2.AsyncClient(base_url=url, headers={"Connection": "close"}, timeout=15) as client:
        return Counter([(await client.get(f"/api/v1/ledger/limited/{subject}")).status_code for _ in range(times)])


async def wait_for_shared_limits(machines: Sequence[Machine], subject: str) -> None:
    """Wait until all machines count the same limit. Busy ones count it without Redis for a while."""
    for number in itertools.count():
        first, *others = [await hit_limit(machine.url, f"{subject}-{number}", MAX_HITS) for machine in machines]
        if first == {200: MAX_HITS} and all(statuses == {429: MAX_HITS} for statuses in others):
            return
        await asyncio.sleep(0.5)


async def built_at(machine: Machine) -> float:
    async with machine.client() as client:
        response = await client.get("/api/v1/ledger/count", headers={"Host": "many.example"})
        built: float = response.json()["built"]
    return built


async def shared_build(machines: Sequence[Machine]) -> float:
    """Wait until all machines serve the same build of the page. Busy ones build it without Redis for five seconds."""
    async with asyncio.timeout(SHARED_SECONDS):
        while len(builds := {await built_at(machine) for machine in machines}) > 1:
            await asyncio.sleep(0.1)
    return builds.pop()
