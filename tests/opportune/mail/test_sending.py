"""Letters leave as jobs; the job's own engine is tested elsewhere."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlmodel import col

from opportune.application import create_app
from opportune.db.database import Database
from opportune.jobs import GiveUp, Run
from opportune.jobs.models import QueuedJob, State
from opportune.mail import Letter, compose, post
from opportune.mail.errors import DeliveryError
from opportune.mail.sending import deliver, send
from opportune.settings import Settings
from opportune.testing.recorded_jobs import NotedJobs
from opportune.testing.services.smtp import smtp_server
from tests.opportune.mail.conftest import letter_to, settings_with

pytestmark = pytest.mark.database("sqlite")

Write = Callable[[str, str], None]


@pytest.fixture
def jobs(database: Database) -> NotedJobs:
    database.info["jobs"] = jobs = NotedJobs()
    return jobs


def run_with(settings: Settings) -> Run:
    return cast("Run", SimpleNamespace(id="1", attempt=1, settings=settings))


async def test_a_letter_is_queued_by_its_number_with_the_change_that_it_tells_of(
    database: Database, jobs: NotedJobs
) -> None:
    letter = letter_to(html="<p>A text.</p>")
    async with database.writer() as session:
        post(session, letter)
        assert jobs.calls == []
    (call,), (key,) = jobs.calls, jobs.keys
    assert (call.job.name, key) == ("mail.send", letter.message_id)
    assert Letter(**call.arguments[0]) == letter


async def test_a_change_that_fails_sends_no_letter(database: Database, jobs: NotedJobs) -> None:
    async with database.writer() as session:
        post(session, letter_to())
        await session.rollback()
    assert jobs.calls == []


async def test_the_job_sends_the_letter(write: Write) -> None:
    write("hello.txt", "Subject: Hello {{ name }}\n\nText.")
    async with smtp_server() as office:
        settings = settings_with(f"smtp://127.0.0.1:{office.port}")
        letter = compose(settings, "Zoë <zoe@example.com>", "hello", {"name": "Zoë"})
        (arguments,) = send(vars(letter)).arguments
        await send.function(run_with(settings), arguments)
        await send.function(run_with(settings), arguments)  # as after a crash between sending and noting it
    assert [message["Subject"] for message in office.took] == ["Hello Zoë"] * 2
    assert {message["Message-ID"] for message in office.took} == {letter.message_id}
    assert len({message["Date"] for message in office.took}) == 1


async def test_what_is_refused_for_now_is_left_to_the_next_try() -> None:
    async with smtp_server() as office:
        office.says_to_letter = "452 Full"
        settings = settings_with(f"smtp://127.0.0.1:{office.port}")
        with pytest.raises(DeliveryError, match="452 Full"):
            await send.function(run_with(settings), vars(letter_to()))
    assert send.attempts > 5, "servers that know nobody refuse the first tries"


async def test_what_is_refused_for_good_is_given_up() -> None:
    async with smtp_server() as office:
        office.says_to_recipient = "550 No such box"
        settings = settings_with(f"smtp://127.0.0.1:{office.port}")
        with pytest.raises(GiveUp, match=r"^The mail server .* refused the letter: 550 No such box\.$"):
            await send.function(run_with(settings), vars(letter_to()))
    with pytest.raises(GiveUp, match="is no e-mail address"):
        await send.function(run_with(settings), vars(letter_to("nobody")))


async def test_a_letter_of_an_older_version_is_still_sent() -> None:
    stored = {name: value for name, value in vars(letter_to()).items() if name != "date"}
    async with smtp_server() as office:
        await deliver(settings_with(f"smtp://127.0.0.1:{office.port}"), Letter(**stored))
    assert office.took[0]["Date"]


@pytest.mark.parametrize(("answer", "state"), [("250 OK", State.DONE), ("550 No such box", State.FAILED)])
async def test_the_site_sends_what_was_posted_and_tries_no_refusal_for_good_again(
    settings: Settings, answer: str, state: State
) -> None:
    async with smtp_server() as office:
        office.says_to_letter = answer
        app = create_app(settings.model_copy(update={"mail_url": SecretStr(f"smtp://127.0.0.1:{office.port}")}))
        async with app.router.lifespan_context(app):
            async with app.state.database.writer() as session:
                post(session, letter_to())
            async with app.state.database.reader() as session:
                sends = select(QueuedJob).where(col(QueuedJob.name) == send.name)  # the site has jobs by the clock, too
                job = (await session.scalars(sends)).one()
            assert await app.state.jobs.finished(str(job.id)) == state
            async with app.state.database.reader() as session:
                ended = await session.get_one(QueuedJob, job.id)
    assert ended.attempt == 1
    assert len(office.took) == (state == State.DONE)
