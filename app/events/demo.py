"""Example events with invented attendees."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.models import Event, Registration
from app.events.service import delete_registrations
from opportune.db import DemoRows, utc_now
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l


@dataclass(frozen=True, kw_only=True)
class Sample:
    title: str
    slug: str
    summary: str
    description: str
    days: int
    """Days until the event starts; negative if it is in the past."""
    hour: int
    duration: timedelta
    place: str = ""
    link: str = ""
    capacity: int
    attendees: int


SAMPLES = (
    Sample(
        title=_l("Async Python from the ground up"),
        slug="demo-async-python",
        summary=_l("What an event loop does all day, and what stops it."),
        description=_l(
            "We write a small event loop together, then look at the real one.\n\n"
            "- coroutines, tasks and cancellation\n- what blocks, and how to notice\n- timeouts that hold\n\n"
            "You need Python **3.11** or newer, and an editor."
        ),
        days=9,
        hour=16,
        duration=timedelta(hours=1, minutes=30),
        link="https://meet.example.com/async-python",
        capacity=40,
        attendees=9,
    ),
    Sample(
        title=_l("A database in a file"),
        slug="demo-database-in-a-file",
        summary=_l("How far SQLite carries a website, with measurements."),
        description=_l(
            "One writer, many readers, and a backup that is a copy of a file.\n\n"
            "## What we look at\n\n1. write-ahead logging\n2. `BEGIN IMMEDIATE`\n3. when to move to PostgreSQL"
        ),
        days=23,
        hour=17,
        duration=timedelta(hours=1),
        place=_l("Harbour Library, room 4"),
        link="https://meet.example.com/one-file",
        capacity=24,
        attendees=12,
    ),
    Sample(
        title=_l("An evening without JavaScript"),
        slug="demo-without-javascript",
        summary=_l("Forms, links and a cup of tea: how much of the web is left?"),
        description=_l("Bring a site that you like. We switch scripts off and see what still works."),
        days=41,
        hour=18,
        duration=timedelta(hours=2),
        place=_l("Tea room at Mill Lane 7"),
        capacity=6,
        attendees=6,
    ),
    Sample(
        title=_l("Getting to know htmx"),
        slug="demo-getting-to-know-htmx",
        summary=_l("A page that updates itself, written in HTML."),
        description=_l("The notes of the evening are with those who came."),
        days=-12,
        hour=17,
        duration=timedelta(hours=1, minutes=30),
        place=_l("Harbour Library, room 2"),
        capacity=20,
        attendees=11,
    ),
)
PEOPLE = (
    "Mira Holt", "Jonas Reed", "Aiko Lund", "Tomas Vale", "Nour Castell", "Edda Brook",
    "Pavel Winter", "Lucia Fenn", "Idris Moor", "Hanna Quill", "Oskar Dean", "Ravi Stone",
)  # fmt: skip
ORGANISATIONS = ("", "Harbour Library", "Northwind Cycles", "")
QUESTIONS = ("", "", _l("Will there be a recording?"), "")
GROUPS = ("speakers", "guests", "guests", "press")

demo_events = DemoRows(Event, SAMPLES, datetime(2026, 1, 6, 9, tzinfo=UTC))


async def load(session: AsyncSession) -> int:
    """Add missing events. Attendees of existing events are not added again, because they may have cancelled."""
    added = 0
    for created_at, sample in await demo_events.missing(session):
        event = create_event(sample, created_at)
        session.add(event)
        await session.flush()
        attendees = list(create_attendees(sample, event))
        session.add_all(attendees)
        added += 1 + len(attendees)
    return added


async def clear(session: AsyncSession) -> int:
    """Delete the demo events and all registrations for them."""
    demo_event_ids = select(col(Event.id)).where(demo_events.condition)
    registrations = await delete_registrations(session, col(Registration.event_id).in_(demo_event_ids))
    return registrations + await demo_events.clear(session)


def create_event(sample: Sample, created_at: datetime) -> Event:
    day = utc_now().replace(minute=0, second=0, microsecond=0) + timedelta(sample.days)
    starts_at = day.replace(hour=sample.hour)
    return Event(
        title=str(sample.title),
        slug=sample.slug,
        summary=str(sample.summary),
        description=str(sample.description),
        starts_at=starts_at,
        ends_at=starts_at + sample.duration,
        place=str(sample.place),
        link=sample.link,
        capacity=sample.capacity,
        created_at=created_at,
    )


def create_attendees(sample: Sample, event: Event) -> Iterator[Registration]:
    latest = min(utc_now(), event.starts_at)
    for number, person in enumerate(PEOPLE[: sample.attendees]):
        yield Registration(
            event_id=event.id,
            name=gettext("%(name)s (made up)", name=person),
            email=f"{person.lower().replace(' ', '.')}@example.com",
            organisation=ORGANISATIONS[number % 4],
            question=str(QUESTIONS[number % 4]),
            group=GROUPS[number % 4],
            is_present=sample.days < 0 and number % 5 > 0,
            # Irregular times within four weeks, as in reality.
            created_at=latest - timedelta(days=number * number % 27, hours=number % 7),
        )
