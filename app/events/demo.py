"""Example events with invented attendees."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.jobs import delete_registrations
from app.events.models import Event, Registration
from opportune.db import utc_now
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l


@dataclass(frozen=True)
class Sample:
    title: str
    slug: str
    summary: str
    description: str
    days: int
    """Time until the event starts; negative if it is in the past."""
    hour: int
    duration: timedelta
    place: str
    link: str
    capacity: int
    attendees: int


SAMPLES = (
    Sample(
        _l("Async Python from the ground up"),
        "demo-async-python",
        _l("What an event loop does all day, and what stops it."),
        _l(
            "We write a small event loop together, then look at the real one.\n\n"
            "- coroutines, tasks and cancellation\n- what blocks, and how to notice\n- timeouts that hold\n\n"
            "You need Python **3.11** or newer, and an editor."
        ),
        9,
        16,
        timedelta(hours=1, minutes=30),
        "",
        "https://meet.example.com/async-python",
        40,
        9,
    ),
    Sample(
        _l("A database in a file"),
        "demo-database-in-a-file",
        _l("How far SQLite carries a website, with measurements."),
        _l(
            "One writer, many readers, and a backup that is a copy of a file.\n\n"
            "### What we look at\n\n1. write-ahead logging\n2. `BEGIN IMMEDIATE`\n3. when to move to PostgreSQL"
        ),
        23,
        17,
        timedelta(hours=1),
        _l("Harbour Library, room 4"),
        "https://meet.example.com/one-file",
        24,
        12,
    ),
    Sample(
        _l("An evening without JavaScript"),
        "demo-without-javascript",
        _l("Forms, links and a cup of tea: how much of the web is left?"),
        _l("Bring a site that you like. We switch scripts off and see what still works."),
        41,
        18,
        timedelta(hours=2),
        _l("Tea room at Mill Lane 7"),
        "",
        6,
        6,
    ),
    Sample(
        _l("Getting to know htmx"),
        "demo-getting-to-know-htmx",
        _l("A page that updates itself, written in HTML."),
        _l("The notes of the evening are with those who came."),
        -12,
        17,
        timedelta(hours=1, minutes=30),
        _l("Harbour Library, room 2"),
        "",
        20,
        11,
    ),
)
PEOPLE = (
    "Mira Holt", "Jonas Reed", "Aiko Lund", "Tomas Vale", "Nour Castell", "Edda Brook",
    "Pavel Winter", "Lucia Fenn", "Idris Moor", "Hanna Quill", "Oskar Dean", "Ravi Stone",
)  # fmt: skip
ORGANISATIONS = ("", "Harbour Library", "Northwind Cycles", "")
QUESTIONS = ("", "", _l("Will there be a recording?"), "")
GROUPS = ("speakers", "guests", "guests", "press")

# These creation times identify the demo events, even after a user edits them.
CREATION_TIMES = [datetime(2026, 1, 6, 9, minute, tzinfo=UTC) for minute in range(len(SAMPLES))]
is_demo_event = col(Event.created_at).in_(CREATION_TIMES)


async def load(session: AsyncSession) -> int:
    """Add missing events. Attendees of existing events are not added again, because they may have cancelled."""
    existing = set(await session.scalars(select(col(Event.created_at)).where(is_demo_event)))
    added = 0
    for created_at, sample in zip(CREATION_TIMES, SAMPLES, strict=True):
        if created_at not in existing:
            event = create_event(sample, created_at)
            session.add(event)
            await session.flush()
            attendees = list(create_attendees(sample, event))
            session.add_all(attendees)
            added += 1 + len(attendees)
    return added


async def clear(session: AsyncSession) -> int:
    """Delete the demo events and all registrations for them."""
    demo_event_ids = select(col(Event.id)).where(is_demo_event)
    registrations = await delete_registrations(session, col(Registration.event_id).in_(demo_event_ids))
    events = (await session.execute(delete(Event).where(is_demo_event).returning(col(Event.id)))).all()
    return registrations + len(events)


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
            created_at=latest - timedelta(days=number * number % 27, hours=number % 7),
        )
