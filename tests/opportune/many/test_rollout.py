"""Two releases on one schema under load: the new one has another migration, job and route."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import psycopg
import pytest

from opportune.contrib.deploy.rehearsal.answer_steps import StreamedAnswer, read_answer
from opportune.contrib.deploy.rehearsal.fakes import model_answer
from tests.opportune.many.conftest import Site
from tests.opportune.many.load import Load, load
from tests.opportune.many.machines import Machine
from tests.opportune.many.probes import sign_in

NEW_PATH = "/api/v1/ledger/rows"
WORDS = 120

pytestmark = pytest.mark.usefixtures("complete_site")


@dataclass
class Rollout:
    """Observations while machines of both releases ran."""

    old_route: Load
    new_route: Load
    answer: StreamedAnswer
    """Answer that the first replaced machine began."""


@pytest.fixture(scope="module")
async def rollout(site: Site) -> Rollout:
    # In the small form, machines of both releases remain.
    replaced = (site.web[0], site.workers[0])
    async with load(site, "old-route") as old, load(site, "new-route", NEW_PATH) as new, reading(site) as answer:
        await replace_machine(site, replaced[0], migrates=True)
        for machine in replaced[1:]:
            await replace_machine(site, machine)
    return Rollout(old, new, answer)


async def replace_machine(site: Site, machine: Machine, *, migrates: bool = False) -> None:
    if machine in site.web:
        site.balancer.drain(machine)
    await machine.stop()
    machine.install_next_release()
    if migrates:
        await asyncio.to_thread(machine.run, "migrate")
    machine.start()
    if machine in site.web:
        await machine.wait_until_ready()
        site.balancer.resume(machine)


@asynccontextmanager
async def reading(site: Site) -> AsyncIterator[StreamedAnswer]:
    headers = await sign_in(site.web[0], "rollout@example.com")
    async with site.web[0].client() as client:
        question = {"content": f"Rehearsal: say {WORDS} words."}
        response = await client.post("/api/v1/conversations", json=question, headers=headers)
    answer = StreamedAnswer(response.json()["stream_url"], model_answer(WORDS))
    async with httpx2.AsyncClient(base_url=site.balanced_url, headers=headers, timeout=30) as client:
        task = asyncio.create_task(read_answer(client, answer, 90.0))
        yield answer
        await task


async def test_route_of_both_releases_fails_no_request(rollout: Rollout) -> None:
    assert not rollout.old_route.errors


async def test_new_route_is_missing_on_old_machines_only(rollout: Rollout) -> None:
    assert set(rollout.new_route.errors) <= {"404"}


async def test_answer_continues_on_another_machine(rollout: Rollout) -> None:
    assert (rollout.answer.final_event, rollout.answer.text.strip()) == ("done", rollout.answer.expected)


async def test_new_job_runs_once_for_each_new_entry(rollout: Rollout, site: Site) -> None:
    async with asyncio.timeout(60.0):
        while "" in (notes := count_notes(site)):
            await asyncio.sleep(0.2)
    assert set(notes) == {"noted"}
    assert notes["noted"] >= len(rollout.new_route.acknowledged)


def count_notes(site: Site) -> dict[str, int]:
    query = "SELECT note, count(*) FROM ledger_entry WHERE note IS NOT NULL GROUP BY note"
    with psycopg.connect(site.url) as connection:
        return dict(connection.execute(query).fetchall())
