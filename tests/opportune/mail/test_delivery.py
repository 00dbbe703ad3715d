"""Delivery of queued e-mails by a job, and outages of the mail server."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from opportune.accounts.emails import report_mail_outage
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.operations.mail_outage import read_outage
from opportune.db import Database, utc_now
from opportune.jobs import JobContext
from opportune.jobs.execution import retry_delay
from opportune.jobs.models import Job, JobState
from opportune.mail import Attachment, DeliveryError, EmailMessage, enqueue_email, render_email
from opportune.mail.delivery import MIN_OUTAGE_ATTEMPTS, send_email, send_email_job
from opportune.storage import open_storage
from opportune.testing import RecordedJobs, make_user
from tests.opportune.mail.conftest import WriteTemplate, email_to, settings_with
from tests.opportune.mail.smtp_server import smtp_server
from tests.opportune.stored_rows import add_rows, read_one, reload

FIRST_FIELDS = ("to", "subject", "text", "html", "message_id")
"""Fields of an e-mail in the first version."""


@pytest.fixture
def jobs(settings: Settings, database: Database) -> RecordedJobs:
    return RecordedJobs(settings, database, open_storage(settings))


async def test_email_is_queued_with_the_commit(database: Database, jobs: RecordedJobs) -> None:
    email = email_to(html="<p>A text.</p>", attachments=(Attachment("a.bin", b"\0\xff"),), cc=("bob@example.com",))
    async with database.writer() as session:
        enqueue_email(session, email)
        assert jobs.calls == []
    (call,), (key,) = jobs.calls, jobs.keys
    assert (call.job.name, key) == ("mail.send", email.message_id)
    assert jobs.outbox == [email]


async def test_rollback_sends_no_email(database: Database, jobs: RecordedJobs) -> None:
    async with database.writer() as session:
        enqueue_email(session, email_to())
        await session.rollback()
    assert jobs.calls == []


async def test_job_sends_the_email(write_template: WriteTemplate) -> None:
    write_template("hello.txt", "Subject: Hello {{ name }}\n\nText.")
    async with smtp_server() as mail_server:
        settings = settings_with(f"smtp://127.0.0.1:{mail_server.port}")
        email = render_email(settings, "Zoë <zoe@example.com>", "hello", {"name": "Zoë"})
        (arguments,) = send_email_job(email.to_json()).arguments
        context = cast("JobContext", SimpleNamespace(id="1", attempt=1, settings=settings))
        for _ in range(2):  # as after a crash before the outcome is stored
            await send_email_job.function(context, arguments)
    assert [message["Subject"] for message in mail_server.received] == ["Hello Zoë"] * 2
    assert {message["Message-ID"] for message in mail_server.received} == {email.message_id}
    assert len({message["Date"] for message in mail_server.received}) == 1


async def test_queued_email_of_an_older_version_is_sent() -> None:
    stored = {name: value for name, value in vars(email_to()).items() if name in FIRST_FIELDS}
    async with smtp_server() as mail_server:
        await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), EmailMessage.from_json(stored))
    assert mail_server.received[0]["Date"]


@pytest.mark.parametrize(("reply", "state"), [("250 OK", JobState.DONE), ("550 No such box", JobState.FAILED)])
async def test_site_sends_queued_email_once(settings: Settings, reply: str, state: JobState) -> None:
    async with smtp_server() as mail_server:
        mail_server.reply_to_message = reply
        app = create_app(settings.model_copy(update={"mail_url": SecretStr(f"smtp://127.0.0.1:{mail_server.port}")}))
        async with app.router.lifespan_context(app):
            async with app.state.database.writer() as session:
                enqueue_email(session, email_to())
            job = await read_one(app, Job, name=send_email_job.name)  # there are also scheduled jobs
            assert await app.state.jobs.wait_until_ended(str(job.id)) == state
            job = await reload(app, job)
    assert job.attempt == 1
    assert len(mail_server.received) == (state == JobState.DONE)


@pytest.fixture
def failing_jobs(settings: Settings, database: Database, unused_tcp_port: int) -> RecordedJobs:
    """Jobs of a site whose mail server does not respond."""
    changes = {"mail_url": SecretStr(f"smtp://127.0.0.1:{unused_tcp_port}"), "base_url": "https://site.example"}
    failing_jobs = RecordedJobs(settings.model_copy(update=changes), database, open_storage(settings))
    failing_jobs.jobs = {job.name: job for job in (report_mail_outage, send_email_job)}
    return failing_jobs


async def try_to_send(failing_jobs: RecordedJobs, attempt: int) -> None:
    failing_jobs.context.attempt = attempt
    with pytest.raises(DeliveryError):
        await failing_jobs.run(send_email_job(vars(email_to())))


async def test_outage_is_reported_to_superusers(failing_jobs: RecordedJobs, database: Database) -> None:
    await make_user(database, "visitor@example.com")
    await make_user(database, "admin@example.com", is_superuser=True)
    await try_to_send(failing_jobs, MIN_OUTAGE_ATTEMPTS)
    assert failing_jobs.names == ["accounts.report_mail_outage"]
    await failing_jobs.work()
    (email,) = failing_jobs.outbox
    assert email.to == "admin@example.com"
    assert "does not respond" in email.text
    assert "https://site.example/admin/status" in email.text


async def test_long_outage_is_reported_once(failing_jobs: RecordedJobs) -> None:
    for attempt, names in ((-1, []), (0, ["accounts.report_mail_outage"]), (0, ["accounts.report_mail_outage"])):
        await try_to_send(failing_jobs, MIN_OUTAGE_ATTEMPTS + attempt)
        assert failing_jobs.names == names


def waiting_job(minutes: int, **values: Any) -> Job:
    defaults = {"name": "mail.send", "attempt": 3, "error": "The server is down."}
    return Job(created_at=utc_now() - timedelta(minutes=minutes), **{**defaults, **values})


@pytest.mark.database("sqlite", "postgresql")
async def test_outage_counts_waiting_emails(database: Database) -> None:
    done, other = waiting_job(90, state=JobState.DONE), waiting_job(90, name="other.job")
    await add_rows(database, waiting_job(20), waiting_job(1), done, other)
    async with database.reader() as session:
        outage = await read_outage(session)
    assert str(outage) == "2 e-mails could not be sent yet. The server is down."


async def test_recent_emails_are_not_an_outage(database: Database) -> None:
    await add_rows(database, waiting_job(9))
    async with database.reader() as session:
        assert await read_outage(session) is None


def test_emails_are_retried_for_a_day_at_least_hourly() -> None:
    delays = [retry_delay(send_email_job, attempt) for attempt in range(1, send_email_job.attempts)]
    assert sum(delays) >= 24 * 3600
    assert max(delays) <= 3600


def test_email_without_options_is_stored_as_in_the_first_version() -> None:
    assert {*email_to().to_json()} == {*FIRST_FIELDS, "date"}
