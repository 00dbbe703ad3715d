"""Registering and cancelling, with the photo and the e-mail that go with it."""

from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from app.events.cancel_tokens import make_token, read_token
from app.events.jobs import FOLDER, delete_photos, shrink_photo
from app.events.models import Event, Registration
from app.events.schemas import RegistrationCreate
from app.events.service import REGISTRATION_ENDED, Events, RegistrationClosed, RegistrationResult
from opportune.config import Settings
from opportune.errors import NotFound
from opportune.jobs import defer
from opportune.mail import enqueue_email, render_email
from opportune.storage import Storage, StorageError
from opportune.web import Upload, format_datetime


class Registrations:
    """Registers people for events, and cancels that by the link that they were sent."""

    def __init__(self, session: AsyncSession, settings: Settings, storage: Storage) -> None:
        self.session = session
        self.settings = settings
        self.storage = storage
        self.events = Events(session)

    async def register(self, slug: str, new: RegistrationCreate, photo: Upload | None = None) -> None:
        """Take a seat, and tell the address so by mail; one that is registered already is told that.

        Whoever asks is not told which of the two it was.

        Raises:
            NotFound: there is no such event.
            RegistrationClosed: all seats are taken, or it has begun.
            StorageError: the photo cannot be kept; nothing is done.
        """
        # Before the first statement, with which on SQLite all other writers begin to wait.
        name = await self.storage.save(FOLDER, photo.suffix, photo.content, photo.content_type) if photo else ""
        done = None
        try:
            done = await self.events.register(slug, new, name)
        finally:
            if name and done is None:
                await self.session.rollback()  # others wait for the event, and not for the place of files
                with suppress(StorageError):  # why nobody was registered matters more
                    await self.storage.delete(name)
        if name:
            defer(self.session, shrink_photo(done.registration.id, name) if done.is_new else delete_photos([name]))
        self._write(done)

    async def find(self, token: str) -> tuple[Registration, Event]:
        """Find what a link for cancelling is about.

        Raises:
            NotFound: the link is not ours.
            RegistrationClosed: it has been cancelled already, or the event has begun.
        """
        number, made_at = read_token(self.settings, token)
        try:
            registration, event = await self.events.registration(number, made_at)
        except NotFound:
            raise RegistrationClosed(ALREADY_CANCELLED) from None
        if event.starts_at <= self.events.now:
            raise RegistrationClosed(REGISTRATION_ENDED)
        return registration, event

    async def cancel(self, token: str) -> None:
        """Cancel a registration. Raises what `find` raises."""
        registration, _event = await self.find(token)
        if photo := await self.events.delete(registration):
            defer(self.session, delete_photos([photo]))

    def _write(self, done: RegistrationResult) -> None:
        template = "registered" if done.is_new else "registered_already"
        path = f"/events/{done.event.slug}/cancel?token={make_token(self.settings, done.registration)}"
        context = {"event": done.event, "starts_at": format_datetime(done.event.starts_at), "cancel_path": path}
        email = render_email(self.settings, done.registration.email, f"events/mail/{template}", context)
        enqueue_email(self.session, email)


ALREADY_CANCELLED = "This registration is cancelled."
