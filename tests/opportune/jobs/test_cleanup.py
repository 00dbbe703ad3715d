"""Deletion of old rows that features declare in `cleanups`."""

import time
from datetime import timedelta

import pytest
from fastapi import FastAPI
from sqlalchemy import literal_column, select
from sqlmodel import col

from opportune.accounts.models import Attempt
from opportune.config.settings import Settings
from opportune.db import Database, older_than, utc_now
from opportune.errors import OperatorError
from opportune.feature import Cleanup, Feature, Jobs
from opportune.jobs import JobContext, job
from opportune.jobs.cleanup import clean_up, clean_up_daily
from opportune.jobs.models import Job
from opportune.testing import RecordedJobs
from tests.opportune.stored_rows import add_rows, read_all


@job("attempts.count", schedule="@daily")
async def count_daily(run: JobContext) -> None: ...


EXPIRED = Cleanup(Attempt, lambda _: col(Attempt.ends_at) <= utc_now())
SHORTENED = Cleanup(Attempt, lambda _: col(Attempt.count) > 5, values={"count": 5})
BROKEN = Cleanup(Attempt, lambda _: literal_column("missing") == 1)
FEATURE = Feature("attempts", "Attempts.", jobs=Jobs((count_daily,), cleanups=(EXPIRED, SHORTENED)))


async def add_attempts(database: Database) -> None:
    values = (("old", -1, 1), ("new", 1, 1), ("many", 1, 9))
    ends = [(key, count, utc_now() + timedelta(days=days)) for key, days, count in values]
    await add_rows(database, *(Attempt(key=key, count=count, ends_at=at) for key, count, at in ends))


async def read_attempts(database: Database) -> list[tuple[str, int]]:
    return [(row.key, row.count) for row in await read_all(database, Attempt)]


async def run_job(app: FastAPI) -> None:
    state = app.state
    await RecordedJobs(state.settings, state.database, state.storage, features=[FEATURE]).run(clean_up_daily())


@pytest.mark.database("sqlite", "postgresql")
async def test_job_runs_the_cleanups_of_features(app: FastAPI, database: Database) -> None:
    await add_attempts(database)
    await run_job(app)
    assert await read_attempts(database) == [("new", 1), ("many", 5)]


@pytest.mark.database("postgresql")
async def test_wrong_clock_keeps_rows(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either clock may be wrong. Processes follow that of the database."""
    await add_attempts(database)
    machine_time = time.time
    monkeypatch.setattr("time.time", lambda: machine_time() + 86_400)
    with pytest.raises(OperatorError, match=r"the database differ by -?86[0-9]{3} s"):
        await clean_up(database, settings, [EXPIRED])
    assert len(await read_attempts(database)) == 3


@pytest.mark.database("sqlite", "postgresql")
async def test_other_cleanups_run(settings: Settings, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    await add_attempts(database)
    reasons = r"accounts_attempt: .*missing.* accounts_attempt: ZeroDivisionError: division by zero"
    with pytest.raises(OperatorError, match=rf"^Old rows could not be deleted\. {reasons}"):
        await clean_up(database, settings, (BROKEN, Cleanup(Attempt, lambda _: col(Attempt.count) > 1 / 0), EXPIRED))
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]
    assert await read_attempts(database) == [("new", 1), ("many", 9)]


async def test_rows_are_kept_without_a_condition(settings: Settings, database: Database) -> None:
    await add_attempts(database)
    assert await clean_up(database, settings, [Cleanup(Attempt, lambda _: older_than(Attempt.ends_at, 0))]) == [0]
    assert len(await read_attempts(database)) == 3


async def test_runs_of_removed_schedules_are_deleted(app: FastAPI, database: Database) -> None:
    async with database.writer() as session:
        days_and_keys = ((6, "schedule:b"), (8, "schedule:c"), (8, "another key"))
        removed = [("removed.job", days, key) for days, key in days_and_keys]
        for name, days, key in (("attempts.count", 8, "schedule:a"), *removed):
            session.add(Job(name=name, key=key, due_at=utc_now() - timedelta(days=days)))
    await run_job(app)
    keys = await read_all(database, select(col(Job.key)).order_by(col(Job.id)))
    assert keys == ["schedule:a", "schedule:b", "another key"]
