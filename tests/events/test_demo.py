import pytest
from sqlalchemy import select
from sqlmodel import col

from app.events.demo import PEOPLE, SAMPLES, clear, load
from app.events.models import Event
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.testing import RecordedJobs
from tests.events.conftest import MakeEvent, add_registration, files_in, registrations

ALL = len(SAMPLES) + sum(sample.attendees for sample in SAMPLES)


async def loaded(database: Database) -> int:
    async with database.writer() as session:
        return await load(session)


async def cleared(database: Database) -> int:
    async with database.writer() as session:
        return await clear(session)


@pytest.mark.database("sqlite")
async def test_the_demo_has_events_to_come_and_people_who_say_that_they_are_made_up(database: Database) -> None:
    assert await loaded(database) == ALL

    people = await registrations(database)
    assert all(person.name.endswith(" (made up)") and person.email.endswith("@example.com") for person in people)
    assert len({person.email for person in people}) == len(PEOPLE)
    async with database.reader() as session:
        events = (await session.scalars(select(Event))).all()
    assert sorted(event.starts_at > utc_now() for event in events) == [False, True, True, True]
    assert all(event.ends_at > event.starts_at for event in events)


@pytest.mark.database("sqlite")
async def test_loading_again_adds_only_the_events_that_are_missing(database: Database) -> None:
    await loaded(database)
    async with database.writer() as session:
        await session.delete((await session.scalars(select(Event).where(col(Event.slug) == SAMPLES[0].slug))).one())

    assert await loaded(database) == 1 + SAMPLES[0].attendees
    assert await loaded(database) == 0


@pytest.mark.database("sqlite")
async def test_clearing_takes_the_demo_and_nobody_elses_events(database: Database, make_event: MakeEvent) -> None:
    await add_registration(database, await make_event(SAMPLES[0].slug + "-2"), photo="events/adas.webp")
    await loaded(database)

    assert await cleared(database) == ALL
    assert [person.name for person in await registrations(database)] == ["Ada"]
    assert await cleared(database) == 0


@pytest.mark.database("sqlite")
async def test_clearing_takes_the_photos_of_those_who_came_to_the_demo(
    recorded_jobs: RecordedJobs, database: Database, settings: Settings
) -> None:
    database.info["jobs"] = recorded_jobs
    name = await recorded_jobs.context.storage.save("events", "webp", b"a picture", "image/webp")
    await loaded(database)
    async with database.reader() as session:
        event = (await session.scalars(select(Event).limit(1))).one()
    await add_registration(database, event, photo=name)

    assert await cleared(database) == ALL + 1
    await recorded_jobs.work()
    assert files_in(settings) == []
