"""Code, commands and numbers of docs/jobs.md."""

import shlex
from pathlib import Path
from types import SimpleNamespace

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.jobs import JobDefinition
from opportune.jobs.leases import LEASE_DURATION
from opportune.jobs.models import JobState
from opportune.jobs.service import DatabaseJobQueue
from opportune.jobs.store import RETENTION
from opportune.storage import open_storage
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.cli.conftest import Oppman, oppman
from tests.opportune.cli.jobs.test_jobs import FAILED_JOB, add_jobs
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.jobs.conftest import Find, MakeQueue

__all__ = ["oppman"]  # a fixture

GUIDE = read_guide("jobs.md")


async def test_code_runs(make_queue: MakeQueue, database: Database, find: Find) -> None:
    names = run_code(*code_blocks(GUIDE))
    site: DatabaseJobQueue = make_queue(*(value for value in names.values() if isinstance(value, JobDefinition)))
    assert set(site.jobs) == {"notes.count_words", "notes.tidy", "reports.build"}
    async with database.writer() as session:
        await names["save"](session, 7, "a b c")
    job = await find("1")
    assert (job.key, job.arguments) == ("words of 7", [7, "a b c"])
    assert (job.due_at - job.created_at).total_seconds() > 4
    job_ids = [await site.enqueue(site.jobs["notes.count_words"](8, text)) for text in ("a b", "")]
    await site.worker.drain()
    assert [(await find(job_id)).state for job_id in job_ids] == [JobState.DONE, JobState.FAILED]


async def test_example_test_passes(settings: Settings, database: Database) -> None:
    names, recorded_jobs = run_code(*code_blocks(GUIDE)), RecordedJobs(settings, database, open_storage(settings))

    async def post(_path: str, data: dict[str, str]) -> None:
        async with database.writer() as session:
            await names["save"](session, 7, data["text"])

    await names["test_saving_a_note_counts_its_words"](SimpleNamespace(post=post), recorded_jobs)
    assert recorded_jobs.calls == []


def test_commands_work(oppman: Oppman, sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_bytes(sqlite_template.read_bytes())
    add_jobs(path, FAILED_JOB)
    lines = [line for block in code_blocks(GUIDE, "sh") for line in block.splitlines() if " jobs " in line]
    # The project of the tests has no queue of reports.
    lines = [line.replace(" reports", " default") for line in lines]
    assert len(lines) == 9
    for line in lines:
        assert oppman(*shlex.split(line, comments=True)[2:], DATABASE_URL=f"sqlite:///{path}").code == 0, line


def test_numbers_match_the_code() -> None:
    days = {state: retention.days for state, retention in RETENTION.items()}
    assert days == {JobState.DONE: 7, JobState.CANCELLED: 7, JobState.FAILED: 30}
    text = " ".join(GUIDE.split())
    assert f"deleted after {days[JobState.DONE]} days, failed ones after {days[JobState.FAILED]}" in text
    assert f"after {LEASE_DURATION.seconds} seconds" in GUIDE
