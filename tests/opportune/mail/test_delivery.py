"""Delivery of queued e-mails by a job."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import SecretStr

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.jobs import JobContext
from opportune.jobs.models import Job, JobState
from opportune.mail import EmailMessage, enqueue_email, render_email
from opportune.mail.delivery import send_email, send_email_job
from opportune.storage import open_storage
from opportune.testing.recorded_jobs import RecordedJobs
from tests.opportune.accounts.stored_rows import read_one, reload
from tests.opportune.mail.conftest import email_to, settings_with
from tests.opportune.mail.smtp_server import smtp_server

WriteTemplate = Callable[[str, str], None]


@pytest.fixture
def jobs(settings: Settings, database: Database) -> RecordedJobs:
    return RecordedJobs(settings, database, open_storage(settings))


async def test_email_is_queued_with_the_commit(database: Database, jobs: RecordedJobs) -> None:
    email = email_to(html="<p>A text.</p>")
    async with database.writer() as session:
        enqueue_email(session, email)
        assert jobs.calls == []
    (call,), (key,) = jobs.calls, jobs.keys
    assert (call.job.name, key) == ("mail.send", email.message_id)
    assert EmailMessage(**call.arguments[0]) == email


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
        (arguments,) = send_email_job(vars(email)).arguments
        context = cast("JobContext", SimpleNamespace(id="1", attempt=1, settings=settings))
        for _ in range(2):  # as after a crash before the outcome is stored
            await send_email_job.function(context, arguments)
    assert [message["Subject"] for message in mail_server.received] == ["Hello Zoë"] * 2
    assert {message["Message-ID"] for message in mail_server.received} == {email.message_id}
    assert len({message["Date"] for message in mail_server.received}) == 1


async def test_queued_email_of_an_older_version_is_sent() -> None:
    stored = {name: value for name, value in vars(email_to()).items() if name != "date"}
    async with smtp_server() as mail_server:
        await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), EmailMessage(**stored))
    assert mail_server.received[0]["Date"]


@pytest.mark.parametrize(("reply", "state"), [("250 OK", JobState.DONE), ("550 No such box", JobState.FAILED)])
async def test_site_sends_queued_email_once(settings: Settings, reply: str, state: JobState) -> None:
    async with smtp_server() as mail_server:
        mail_server.reply_to_message = reply
        app = create_app(settings.model_copy(update={"mail_url": SecretStr(f"smtp://127.0.0.1:{mail_server.port}")}))
        async with app.router.lifespan_context(app):
            async with app.state.database.writer() as session:
                enqueue_email(session, email_to())
            job = await read_one(app.state.database, Job, name=send_email_job.name)  # there are also scheduled jobs
            assert await app.state.jobs.wait_until_ended(str(job.id)) == state
            job = await reload(app.state.database, job)
    assert job.attempt == 1
    assert len(mail_server.received) == (state == JobState.DONE)
