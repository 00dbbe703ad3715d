"""A replica that lags under load: requests succeed, users see their own changes, and others read the primary."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import psycopg
import pytest

from opportune.testing.services.postgres import Postgres
from tests.opportune.many.conftest import Site
from tests.opportune.many.load import ENTRIES_PATH, Load, load
from tests.opportune.many.probes import sign_in

WAIT_SECONDS = 60.0
NOT_USED, USED_AGAIN = "is not used: it lags", "is used again."

pytestmark = pytest.mark.usefixtures("complete_site")


@dataclass
class Lag:
    """Observations while the replica applied no changes."""

    load: Load
    profiles: list[httpx2.Response]
    """Profiles of a new user, from each machine."""
    sees_own_entry: bool
    """Whether a browser that added an entry saw it on another machine."""
    sees_other_entry: bool = False
    """Whether another browser saw it, once the machine had noticed the lag."""
    log: str = ""


@pytest.fixture(scope="module")
async def lag(site: Site) -> Lag:
    start = len(site.web[1].log)
    async with load(site, "lag") as current:
        with lagging(site.standby):
            lag = await observe(site, current)
            await read_until(site, lambda: NOT_USED in site.web[1].log[start:])
            lag.sees_other_entry = await has_entry(site, {})
        await read_until(site, lambda: USED_AGAIN in site.web[1].log[start:])
    lag.log = site.web[1].log[start:]
    return lag


@contextmanager
def lagging(standby: Postgres) -> Iterator[None]:
    with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        yield
        connection.execute("SELECT pg_wal_replay_resume()")


async def observe(site: Site, current: Load) -> Lag:
    headers = await sign_in(site.web[0], "lag@example.com")
    profiles = []
    for machine in site.web:
        async with machine.client() as client:
            profiles.append(await client.get("/api/v1/users/me", headers=headers))
    async with httpx2.AsyncClient(base_url=site.balanced_url, timeout=15) as client:
        response = await client.post(f"{ENTRIES_PATH}/lag-own")
    return Lag(current, profiles, await has_entry(site, dict(response.cookies)))


async def has_entry(site: Site, cookies: dict[str, str]) -> bool:
    async with site.web[1].client() as client:
        client.cookies.update(cookies)
        return (await client.get(f"{ENTRIES_PATH}/lag-own")).json() is True


async def read_until(site: Site, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await has_entry(site, {})
            await asyncio.sleep(0.1)


async def test_requests_succeed_beside_lagging_replica(lag: Lag) -> None:
    assert not lag.load.errors


async def test_new_user_is_signed_in_beside_lagging_replica(lag: Lag) -> None:
    assert [profile.json().get("email") for profile in lag.profiles] == ["lag@example.com"] * 3


async def test_browser_sees_its_change_beside_lagging_replica(lag: Lag) -> None:
    assert lag.sees_own_entry


async def test_lagging_replica_is_not_read(lag: Lag) -> None:
    assert lag.sees_other_entry


async def test_lag_is_logged_once(lag: Lag) -> None:
    assert (lag.log.count(NOT_USED), lag.log.count(USED_AGAIN)) == (1, 1)
