"""Jobs through PgBouncer in transaction mode, which loses session locks and session settings."""

import asyncio
from collections.abc import Iterator

import pytest

from opportune.config.settings import Settings
from opportune.contrib.deploy.rehearsal.pgbouncer import pgbouncer
from opportune.jobs.models import JobState
from opportune.testing.plugin import settings_for
from tests.opportune.jobs.conftest import Emails, MakeQueue
from tests.opportune.jobs.tasks import register

pytestmark = pytest.mark.database("postgresql")

EMAILS = [f"{number}@example.com" for number in range(6)]


@pytest.fixture
def settings(database_url: str) -> Iterator[Settings]:
    with pgbouncer(database_url) as url:
        yield settings_for(url)


async def test_two_processes_run_each_job_once(make_queue: MakeQueue, emails: Emails) -> None:
    first_queue, second_queue = make_queue(), make_queue()
    job_ids = [await first_queue.enqueue(register(email), key=email) for email in EMAILS]
    async with first_queue.running(), second_queue.running():
        first_queue.worker.wake()
        second_queue.worker.wake()
        states = await asyncio.gather(*(first_queue.wait_until_ended(job_id) for job_id in job_ids))
    assert set(states) == {JobState.DONE}
    assert sorted(await emails()) == sorted(EMAILS)
