"""Demo events."""

from sqlalchemy import select

from app.events.demo import PEOPLE, SAMPLES, clear, load
from app.events.models import Event
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.testing import RecordedJobs
from tests.events.conftest import MakeEvent, add_registration, list_stored_files, read_registrations

DEMO_ROWS = len(SAMPLES) + sum(sample.attendees for sample in SAMPLES)


async def load_demo(database: Database) -> int:
    async with database.writer() as session:
        return await load(session)


async def clear_demo(database: Database) -> int:
    async with database.writer() as session:
        return await clear(session)


async def test_demo_has_upcoming_events_and_fake_attendees(database: Database) -> None:
    assert await load_demo(database) == DEMO_ROWS

    attendees = await read_registrations(database)
    assert all(attendee.name.endswith(" (made up)") for attendee in attendees)
    assert all(attendee.email.endswith("@example.com") for attendee in attendees)
    assert len({attendee.email for attendee in attendees}) == len(PEOPLE)
    async with database.reader() as session:
        events = (await session.scalars(select(Event))).all()
    assert sorted(event.starts_at > utc_now() for event in events) == [False, True, True, True]
    assert all(event.ends_at > event.starts_at for event in events)


async def test_clear_keeps_events_of_users(database: Database, make_event: MakeEvent) -> None:
    await add_registration(database, await make_event(SAMPLES[0].slug + "-2"), photo="events/adas.webp")
    await load_demo(database)

    assert await clear_demo(database) == DEMO_ROWS
    assert [attendee.name for attendee in await read_registrations(database)] == ["Ada"]
    assert await clear_demo(database) == 0


async def test_clear_removes_photos_of_attendees(
    recorded_jobs: RecordedJobs, database: Database, settings: Settings
) -> None:
    database.info["jobs"] = recorded_jobs
    name = await recorded_jobs.context.storage.save("events", "webp", b"a picture", "image/webp")
    await load_demo(database)
    async with database.reader() as session:
        event = (await session.scalars(select(Event).limit(1))).one()
    await add_registration(database, event, photo=name)

    assert await clear_demo(database) == DEMO_ROWS + 1
    await recorded_jobs.work()
    assert list_stored_files(settings) == []
