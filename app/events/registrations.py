"""Register and cancel, with photo and e-mail. The links in e-mails have signed tokens, which are not stored."""

from datetime import datetime

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.ext.asyncio import AsyncSession

from app.events.models import Event, Registration
from app.events.schemas import RegistrationCreate
from app.events.service import NO_PHOTO, REGISTRATION_ENDED, Events, RegistrationClosed, RegistrationResult
from opportune.config import Settings, derived_keys
from opportune.errors import NotFound
from opportune.fields import stored_uploads
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import defer, delete_files
from opportune.mail import enqueue_email, render_email
from opportune.storage import Storage
from opportune.web import Upload, format_datetime

ALREADY_CANCELLED = _l("This registration is cancelled.")


class Registrations:
    """Registers attendees and cancels registrations by the link in the e-mail."""

    def __init__(self, session: AsyncSession, settings: Settings, storage: Storage) -> None:
        self.session = session
        self.settings = settings
        self.storage = storage
        self.events = Events(session)

    async def register(self, slug: str, new: RegistrationCreate, photo: Upload | None = None) -> None:
        """Take a seat and send an e-mail. If the address is already registered, the e-mail says so.

        The caller cannot distinguish the two cases.

        Raises:
            NotFound: The event does not exist.
            RegistrationClosed: All seats are taken, or the event has begun.
            StorageError: The photo cannot be stored. Nothing is changed.
        """
        # The photo is stored before the first statement, which blocks other writers on SQLite.
        async with stored_uploads(self.storage, Registration, {"photo": photo or NO_PHOTO}) as values:
            try:
                result = await self.events.register(slug, new, values["photo"])
            except BaseException:
                await self.session.rollback()  # release the lock of the event before the storage is used
                raise
        if photo and not result.is_new:
            defer(self.session, delete_files([values["photo"]]))
        self._send_email(result)

    async def get(self, token: str) -> tuple[Registration, Event]:
        """Return the registration of a cancellation link.

        Raises:
            NotFound: The link is invalid.
            RegistrationClosed: The registration was cancelled, or the event has begun.
        """
        registration_id, created_at = read_token(self.settings, token)
        try:
            registration, event = await self.events.registration(registration_id, created_at)
        except NotFound:
            raise RegistrationClosed(ALREADY_CANCELLED) from None
        if event.starts_at <= self.events.now:
            raise RegistrationClosed(REGISTRATION_ENDED)
        return registration, event

    async def cancel(self, token: str) -> None:
        """Cancel a registration. Raises the errors of `get`."""
        registration, _event = await self.get(token)
        await self.session.delete(registration)

    def _send_email(self, result: RegistrationResult) -> None:
        template = "registered" if result.is_new else "registered_already"
        path = f"/events/{result.event.slug}/cancel?token={make_token(self.settings, result.registration)}"
        context = {"event": result.event, "starts_at": format_datetime(result.event.starts_at), "cancel_path": path}
        email = render_email(self.settings, result.registration.email, f"events/mail/{template}", context)
        enqueue_email(self.session, email)


def make_token(settings: Settings, registration: Registration) -> str:
    created_at = registration.created_at.isoformat()
    return str(_signer(settings).dumps([registration.id, created_at]))


def read_token(settings: Settings, token: str) -> tuple[int, datetime]:
    """Return the id and the creation time of a registration.

    Raises:
        NotFound: The token has no valid signature.
    """
    try:
        registration_id, created_at = _signer(settings).loads(token)
    except BadSignature:
        raise NotFound from None
    return registration_id, datetime.fromisoformat(created_at)


def _signer(settings: Settings) -> URLSafeSerializer:
    # The last key signs; all of them verify.
    return URLSafeSerializer(list(reversed(derived_keys(settings, "events: cancel"))))
