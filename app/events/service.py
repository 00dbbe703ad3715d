"""Data layer of events. It knows no HTTP, and the caller commits the session."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.models import Event, Registration
from app.events.schemas import EventFilter, EventRead, RegistrationCreate, RegistrationRead
from opportune.db import contains, utc_now
from opportune.errors import require_found
from opportune.fields import Image
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import defer, delete_files
from opportune.pagination import Page, Paging, order, paginate


class RegistrationClosed(Exception):
    """Registration is closed. The message explains why."""


ALL_SEATS_TAKEN = _l("All seats are taken.")
REGISTRATION_ENDED = _l("Registration is closed.")
NO_PHOTO = Image()


class RegistrationResult(NamedTuple):
    """Result of a registration: a new one or the existing one."""

    event: Event
    registration: Registration
    is_new: bool
    """False if the address was already registered. Then nothing changed."""


class Events:
    """Published events and their registrations."""

    def __init__(self, session: AsyncSession, now: datetime | None = None) -> None:
        self.session = session
        self.now = now or utc_now()

    async def list(self, filters: EventFilter) -> Page[EventRead]:
        """List events. By default upcoming ones come soonest first, past ones latest first."""
        starts_at = col(Event.starts_at)
        default = starts_at.desc() if filters.when == "past" else starts_at
        columns = {"starts_at": starts_at, "title": func.lower(col(Event.title))}
        ordered = order(filters.sort, columns, default, col(Event.id))
        query = select(Event).where(*self._conditions(filters)).order_by(*ordered)
        page: Page[Event] = await paginate(self.session, query, filters)
        seats_taken = await self._count_registrations(event.id for event in page.items)
        items = [self._describe(event, seats_taken.get(event.id, 0)) for event in page.items]
        return Page[EventRead](items=items, total=page.total, page=page.page, pages=page.pages)

    async def get(self, slug: str) -> EventRead:
        """Return one event. Raises NotFound."""
        event = await self._get_event(slug)
        return self._describe(event, await self._count_seats_taken(event))

    async def register(self, slug: str, new: RegistrationCreate, photo: Image = NO_PHOTO) -> RegistrationResult:
        """Take a seat.

        Raises:
            NotFound: The event does not exist.
            RegistrationClosed: All seats are taken, or the event has begun.
        """
        # Lock the event until the transaction ends, so that no other registration takes a counted seat.
        event = await self._get_event(slug, locked=True)
        if reason := self._reason_closed(event, await self._count_seats_taken(event)):
            raise RegistrationClosed(reason)
        is_match = col(Registration.event_id) == event.id, col(Registration.email) == new.email
        if existing := await self.session.scalar(select(Registration).where(*is_match)):
            return RegistrationResult(event, existing, is_new=False)
        values = new.model_dump(include=set(RegistrationCreate.model_fields))
        registration = Registration(event_id=event.id, photo=photo, **values)
        self.session.add(registration)
        await self.session.flush()
        return RegistrationResult(event, registration, is_new=True)

    async def list_attendees(self, slug: str, filters: Paging) -> Page[RegistrationRead]:
        """Return the registrations, by name. Raises NotFound."""
        event = await self._get_event(slug)
        registrations = select(Registration).where(col(Registration.event_id) == event.id)
        by_name = registrations.order_by(func.lower(col(Registration.name)), col(Registration.id))
        page: Page[Registration] = await paginate(self.session, by_name, filters)
        items = [RegistrationRead.model_validate(registration) for registration in page.items]
        return Page[RegistrationRead](items=items, total=page.total, page=page.page, pages=page.pages)

    async def registration(self, registration_id: int, created_at: datetime) -> tuple[Registration, Event]:
        """Return a registration by id and creation time, with its event. Raises NotFound."""
        query = select(Registration, Event).join(Event, col(Event.id) == col(Registration.event_id))
        # SQLite can reuse an id, but the creation time differs.
        is_match = col(Registration.id) == registration_id, col(Registration.created_at) == created_at
        row = require_found((await self.session.execute(query.where(*is_match))).one_or_none())
        return row[0], row[1]

    async def _get_event(self, slug: str, *, locked: bool = False) -> Event:
        query = select(Event).where(col(Event.slug) == slug, col(Event.is_published))
        return require_found(await self.session.scalar(query.with_for_update() if locked else query))

    async def _count_registrations(self, events: Iterable[int]) -> dict[int, int]:
        """Return the number of registrations by event id."""
        event_id = col(Registration.event_id)
        query = select(event_id, func.count()).where(event_id.in_(list(events))).group_by(event_id)
        return dict((await self.session.execute(query)).all())

    async def _count_seats_taken(self, event: Event) -> int:
        return (await self._count_registrations([event.id])).get(event.id, 0)

    def _describe(self, event: Event, seats_taken: int) -> EventRead:
        return EventRead(
            **event.model_dump(),
            is_online=bool(event.link),
            # Staff can admit more people than there are seats.
            seats_left=max(0, event.capacity - seats_taken),
            closed=self._reason_closed(event, seats_taken),
        )

    def _reason_closed(self, event: Event, seats_taken: int) -> str:
        if event.starts_at <= self.now:
            return REGISTRATION_ENDED
        return ALL_SEATS_TAKEN if seats_taken >= event.capacity else ""

    def _conditions(self, filters: EventFilter) -> Iterator[ColumnElement[bool]]:
        yield col(Event.is_published).is_(True)
        ends_at = col(Event.ends_at)
        yield ends_at <= self.now if filters.when == "past" else ends_at > self.now
        if filters.q:
            columns = col(Event.title), col(Event.summary), col(Event.description), col(Event.place)
            yield or_(*(contains(column, filters.q) for column in columns))


async def delete_registrations(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    """Delete registrations, queue the deletion of their photos, and return the number of rows."""
    photos = (await session.scalars(delete(Registration).where(condition).returning(col(Registration.photo)))).all()
    if names := [photo for photo in photos if photo]:
        defer(session, delete_files(names))
    return len(photos)
