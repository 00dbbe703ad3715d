"""Data layer of events: registrations, seats and lists."""

import asyncio
from collections import Counter

import pytest

from app.events.models import Event
from app.events.schemas import EventFilter, RegistrationCreate
from app.events.service import ALL_SEATS_TAKEN, Events, RegistrationClosed
from opportune.db import Database
from tests.events.conftest import ADA, MakeEvent, add_registration, read_registrations


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


async def test_email_may_register_for_two_events(database: Database, tea: Event, make_event: MakeEvent) -> None:
    await make_event("cake")

    assert [await register(database, slug) for slug in ("tea", "cake")] == ["new", "new"]


async def test_seats_left_are_counted_per_event(database: Database, make_event: MakeEvent) -> None:
    tea, soup = await make_event("tea", capacity=2), await make_event("soup", capacity=1)
    await add_registration(database, tea, "Ada")
    for name in ("Ada", "Bob"):  # staff may exceed the capacity
        await add_registration(database, soup, name)

    async with database.reader() as session:
        page = await Events(session).list(EventFilter())

    assert [(event.slug, event.seats_left, event.closed) for event in page.items] == [
        ("tea", 1, ""),
        ("soup", 0, ALL_SEATS_TAKEN),
    ]
