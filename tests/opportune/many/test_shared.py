"""State that machines share, with clocks that differ by two hours."""

import asyncio

import httpx2

from opportune.contrib.deploy.rehearsal.html_page import Page
from tests.opportune.many import probes
from tests.opportune.many.conftest import Site
from tests.opportune.many.ledger import MAX_HITS, TICK_SECONDS

EMAIL = "many@example.com"
WORDS = 30
OBSERVED_SECONDS = 3 * TICK_SECONDS


async def test_session_works_behind_balancer(site: Site) -> None:
    await probes.sign_in(site.web[0], "session@example.com")
    headers = {"Connection": "close", "Origin": site.balanced_url}
    async with httpx2.AsyncClient(base_url=site.balanced_url, headers=headers, timeout=15) as client:
        form = Page.from_response(await client.get("/accounts/login")).form_with("email", "password")
        assert form
        values = {control.name: control.values for control in form.controls}
        await client.post(
            "/accounts/login", data={**values, "email": "session@example.com", "password": probes.PASSWORD}
        )
        profiles = [await client.get("/accounts/profile") for _ in site.web]
    assert all(profile.status_code == 200 and "session@example.com" in profile.text for profile in profiles)


async def test_machines_share_limits(site: Site) -> None:
    async with asyncio.timeout(probes.SHARED_SECONDS):
        await probes.wait_for_shared_limits(site.web, "machines")
    assert await probes.hit_limit(site.balanced_url, "shared", 3 * MAX_HITS) == {200: MAX_HITS, 429: 2 * MAX_HITS}


async def test_cleared_page_is_rebuilt_everywhere(site: Site) -> None:
    before = await probes.shared_build(site.web)
    async with site.web[0].client() as client:
        assert (await client.post("/api/v1/ledger/clear")).status_code == 204
    assert await probes.shared_build(site.web) != before


async def test_upload_is_seen_on_other_machines(site: Site) -> None:
    async with site.web[0].client() as client:
        name = (await client.post("/api/v1/ledger/files")).json()
    for machine in site.web[1:]:
        async with machine.client() as client:
            assert (await client.get(f"/api/v1/ledger/files/{name}")).json() == "uploaded"


async def test_schedule_runs_once(site: Site) -> None:
    before = ticks(site)
    await asyncio.sleep(OBSERVED_SECONDS)
    new = ticks(site)[len(before) :]
    assert 1 <= len(new) <= OBSERVED_SECONDS // TICK_SECONDS + 1
    assert len(new) == len(set(new))


def ticks(site: Site) -> list[str]:
    return [key for key in site.read_keys() if key.startswith("tick ")]
