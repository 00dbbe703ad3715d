"""Outages of the mail server."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event

from opportune.accounts.emails import report_mail_outage
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.jobs.execution import retry_delay
from opportune.jobs.models import Job, JobState
from opportune.mail.delivery import MIN_OUTAGE_ATTEMPTS, send_email_job
from opportune.mail.outage import OUTAGE_AFTER, read_outage
from opportune.mail.transport import DeliveryError
from opportune.storage import open_storage
from opportune.testing.factories import make_user
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.stored_rows import store
from tests.opportune.mail.conftest import email_to

HOUR_SECONDS = 3600


def test_emails_are_retried_for_a_day_at_least_hourly() -> None:
    delays = [retry_delay(send_email_job, attempt) for attempt in range(1, send_email_job.attempts)]
    assert sum(delays) >= 24 * HOUR_SECONDS
    assert max(delays) <= HOUR_SECONDS
    first_delays = delays[: MIN_OUTAGE_ATTEMPTS - 1]
    assert sum(first_delays) >= OUTAGE_AFTER.total_seconds() > sum(first_delays[:-1]), "superusers read it early"


@pytest.fixture
def jobs(settings: Settings, database: Database, unused_tcp_port: int) -> RecordedJobs:
    """Jobs of a site whose mail server does not respond."""
    changes = {"mail_url": SecretStr(f"smtp://127.0.0.1:{unused_tcp_port}"), "base_url": "https://site.example"}
    jobs = RecordedJobs(settings.model_copy(update=changes), database, open_storage(settings))
    jobs.jobs = {report_mail_outage.name: report_mail_outage}
    return jobs


async def try_to_send(jobs: RecordedJobs, attempt: int) -> None:
    jobs.context.attempt = attempt
    with pytest.raises(DeliveryError):
        await jobs.run(send_email_job(vars(email_to())))


async def test_outage_is_reported_to_superusers(jobs: RecordedJobs, database: Database) -> None:
    await make_user(database, "visitor@example.com")
    await make_user(database, "admin@example.com", is_superuser=True)
    await try_to_send(jobs, MIN_OUTAGE_ATTEMPTS)
    assert jobs.names == ["accounts.report_mail_outage"]
    await jobs.work()
    (email,) = jobs.outbox
    assert email.to == "admin@example.com"
    assert "does not respond" in email.text
    assert "https://site.example/admin/status" in email.text


async def test_long_outage_is_reported_once(jobs: RecordedJobs) -> None:
    for attempt, names in ((-1, []), (0, ["accounts.report_mail_outage"]), (0, ["accounts.report_mail_outage"])):
        await try_to_send(jobs, MIN_OUTAGE_ATTEMPTS + attempt)
        assert jobs.names == names


def waiting_job(minutes: int, **values: Any) -> Job:
    defaults = {"name": "mail.send", "attempt": 3, "error": "The server is down."}
    return Job(created_at=utc_now() - timedelta(minutes=minutes), **{**defaults, **values})


@pytest.mark.database("sqlite", "postgresql")
async def test_outage_counts_waiting_emails(database: Database) -> None:
    done, other = waiting_job(90, state=JobState.DONE), waiting_job(90, name="other.job")
    await store(database, waiting_job(20), waiting_job(1), done, other)
    async with database.reader() as session:
        outage = await read_outage(session)
    assert str(outage) == "2 e-mails could not be sent yet. The server is down."


async def test_outage_is_read_from_its_index(database: Database) -> None:
    statements = list[tuple[str, Any]]()

    def record(_connection: object, _cursor: object, statement: str, parameters: Any, *_more: object) -> None:
        statements.append((statement, parameters))

    await store(database, waiting_job(90))
    async with database.reader() as session:
        connection = await session.connection()
        event.listen(connection.sync_connection, "before_cursor_execute", record)
        await read_outage(session)
        for statement, parameters in [*statements]:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert "INDEX ix_jobs_job_retried" in str(plan.all()), statement
    assert len(statements) == 4  # two queries, each with its EXPLAIN


@pytest.mark.parametrize(("minutes", "attempt"), [(9, 3), (90, 0)], ids=["recent retry", "first attempt"])
async def test_recent_emails_are_not_an_outage(database: Database, minutes: int, attempt: int) -> None:
    await store(database, waiting_job(minutes, attempt=attempt))
    async with database.reader() as session:
        assert await read_outage(session) is None
