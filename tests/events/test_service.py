"""Data layer of events: registrations, seats and lists, and the personal data in them."""

import asyncio
from collections import Counter

import pytest

from app.events.demo import SAMPLES, clear, load
from app.events.models import Event
from app.events.personal import forget, list_photos, read
from app.events.schemas import EventFilter, RegistrationCreate
from app.events.service import ALL_SEATS_TAKEN, Events, RegistrationClosed
from opportune.db import Database
from opportune.feature import Person
from opportune.testing import RecordedJobs
from tests.events.conftest import ADA, MakeEvent, add_registration, read_registrations

USER, UNVERIFIED = Person(1, "ada@example.com"), Person(1, "")


async def register(database: Database, slug: str, **fields: str) -> str:
    """Register Ada. Return "new", "known", or the reason why registration is closed."""
    try:
        async with database.writer() as session:
            result = await Events(session).register(slug, RegistrationCreate.model_validate({**ADA, **fields}))
    except RegistrationClosed as closed:
        return str(closed)
    return "new" if result.is_new else "known"


@pytest.mark.database("postgresql")
async def test_concurrent_registrations_never_overbook(database: Database, make_event: MakeEvent) -> None:
    event = await make_event("tea", capacity=4)
    attendees = (register(database, "tea", email=f"guest{number}@example.com") for number in range(10))
    outcomes = Counter(await asyncio.gather(*attendees))
    assert outcomes == {"new": 4, ALL_SEATS_TAKEN: 6}
    assert len(await read_registrations(database)) == event.capacity


@pytest.mark.database("postgresql")
async def test_concurrent_registrations_take_one_seat(database: Database, tea: Event) -> None:
    outcomes = await asyncio.gather(*(register(database, "tea") for _ in range(5)))
    assert Counter(outcomes) == {"new": 1, "known": 4}
    assert len(await read_registrations(database)) == 1


@pytest.mark.database("sqlite", "postgresql")
async def test_email_is_case_insensitive(database: Database, tea: Event) -> None:
    assert await register(database, "tea", email="Ada@Example.com") == "new"
    assert await register(database, "tea", email="ada@example.COM") == "known"


async def test_each_event_has_its_own_seats(database: Database, make_event: MakeEvent) -> None:
    await make_event("tea", capacity=2)
    await make_event("soup", capacity=1)
    assert [await register(database, slug) for slug in ("tea", "soup")] == ["new", "new"]
    async with database.reader() as session:
        page = await Events(session).list(EventFilter())
    assert {event.slug: event.seats_left for event in page.items} == {"tea": 1, "soup": 0}


async def test_export_has_registrations_of_the_email(database: Database, tea: Event) -> None:
    await add_registration(database, tea, photo="events/one.webp", notes="Vegetarian")
    await add_registration(database, tea, "Bob")
    await add_registration(database, tea, "Nobody", email="")
    async with database.reader() as session:
        (row,) = (await read(session, USER))["registrations"]
        assert (row["event"], row["name"], row["notes"]) == ("Tea", "Ada", "Vegetarian")
        assert await list_photos(session, USER) == ["events/one.webp"]
        assert (await read(session, UNVERIFIED))["registrations"] == []


async def test_deleted_user_frees_seats_and_photos(database: Database, tea: Event, recorded_jobs: RecordedJobs) -> None:
    await add_registration(database, tea, photo="events/one.webp")
    await add_registration(database, tea, "Bob")
    database.info["jobs"] = recorded_jobs
    for person in (UNVERIFIED, USER):
        async with database.writer() as session:
            await forget(session, person)
    assert [registration.name for registration in await read_registrations(database)] == ["Bob"]
    assert recorded_jobs.names == ["jobs.delete_files"]
    assert recorded_jobs.calls[0].arguments == (["events/one.webp"],)


DEMO_ROWS = len(SAMPLES) + sum(sample.attendees for sample in SAMPLES)


async def load_demo(database: Database) -> int:
    async with database.writer() as session:
        return await load(session)


async def clear_demo(database: Database) -> int:
    async with database.writer() as session:
        return await clear(session)


async def test_clear_keeps_events_of_users(database: Database, make_event: MakeEvent) -> None:
    await add_registration(database, await make_event(SAMPLES[0].slug + "-2"), photo="events/adas.webp")
    await load_demo(database)
    assert await clear_demo(database) == DEMO_ROWS
    assert [attendee.name for attendee in await read_registrations(database)] == ["Ada"]
    assert await clear_demo(database) == 0
