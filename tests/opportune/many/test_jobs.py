"""Jobs that cannot run, beside jobs of visitors."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.opportune.many.conftest import Site

UNKNOWN = "ledger.removed"
QUEUE_JOB = """
INSERT INTO jobs_job (state, name, arguments, attempt, due_at, created_at, cancel_asked, done, total, note, error)
VALUES ('waiting', %s, %s, 0, now(), now(), false, 0, 0, '', '') RETURNING id
"""
FAILING_JOBS = {
    "object": ("ledger.check", '{"text": "a"}', "The arguments of this job are not a JSON list."),
    "too few arguments": ("ledger.check", "[]", "Job ledger.check: missing a required argument"),
    "too much memory": ("ledger.exhaust", "[]", "MemoryError"),
}
"""Name, arguments and error of jobs that fail."""

pytestmark = pytest.mark.usefixtures("complete_site")


def queue_job(site: Site, name: str, arguments: str) -> int:
    with psycopg.connect(site.url) as connection:
        row = connection.execute(QUEUE_JOB, (name, arguments)).fetchone()
    assert row
    return int(row[0])


def read_job(site: Site, job_id: int) -> dict[str, Any]:
    with psycopg.connect(site.url, row_factory=dict_row) as connection:
        row = connection.execute("SELECT state, attempt, error FROM jobs_job WHERE id = %s", (job_id,)).fetchone()
    assert row
    return row


async def wait_until_ended(site: Site, job_id: int) -> dict[str, Any]:
    async with asyncio.timeout(60.0):
        while (job := await asyncio.to_thread(read_job, site, job_id))["state"] in ("held", "waiting", "running"):
            await asyncio.sleep(0.1)
    return job


@pytest.fixture(scope="module")
def failing_ids(site: Site) -> dict[str, int]:
    return {case: queue_job(site, name, arguments) for case, (name, arguments, _) in FAILING_JOBS.items()}


@pytest.mark.parametrize("case", FAILING_JOBS)
async def test_poison_payload_fails(site: Site, failing_ids: dict[str, int], case: str) -> None:
    job = await wait_until_ended(site, failing_ids[case])
    assert job["state"] == "failed"
    assert job["error"].startswith(FAILING_JOBS[case][2])


async def test_unknown_job_waits(site: Site) -> None:
    unknown_id = queue_job(site, UNKNOWN, "[]")
    await wait_until_ended(site, queue_job(site, "ledger.check", '["after it"]'))
    assert read_job(site, unknown_id) == {"state": "waiting", "attempt": 0, "error": ""}


async def test_command_shows_jobs_that_cannot_run(site: Site, failing_ids: dict[str, int]) -> None:
    queue_job(site, UNKNOWN, "[]")
    await wait_until_ended(site, failing_ids["object"])
    output = await asyncio.to_thread(site.web[0].run, "jobs", "list", "--limit", "10000")
    lines = output.splitlines()
    assert [line for line in lines if UNKNOWN in line and "no installed feature has this job" in line]
    assert [line for line in lines if f" {failing_ids['object']} " in f" {line}" and "not a JSON list" in line]
