"""Example contacts for the current team of the first superuser."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.contacts.models import Contact
from app.contacts.service import Contacts
from opportune.accounts import demo_owner
from opportune.i18n import gettext_lazy as _l

# Name, phone, notes.
SAMPLES = (
    ("Aiko Lund", "+12025550143", _l("Electrician. Also repairs lamps.")),
    ("Edda Brook", "", _l("Lends us the projector.")),
    ("Idris Moor", "+12025550127", _l("Harbour Council, for permits.")),
    ("Lucia Fenn", "+12025550168", _l("Prints our posters within two days.")),
    ("Oskar Dean", "", ""),
    ("Pavel Winter", "+12025550181", _l("Has a key to the hall.")),
)
EMAILS = [f"{name.lower().replace(' ', '.')}@contacts.example" for name, _phone, _notes in SAMPLES]
is_demo_contact = col(Contact.email).in_(EMAILS)


async def load(session: AsyncSession) -> int:
    contacts = await Contacts.for_user(session, await demo_owner(session, "the contacts"))
    if not contacts.team:
        return 0
    existing = set(await session.scalars(select(col(Contact.email)).where(is_demo_contact)))
    missing = [sample for sample in zip(EMAILS, SAMPLES, strict=True) if sample[0] not in existing]
    for email, (name, phone, notes) in missing:
        contact = contacts.new_row()
        contact.name = name
        contact.email = email
        contact.phone = phone
        contact.notes = str(notes)
        session.add(contact)
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return len((await session.execute(delete(Contact).where(is_demo_contact).returning(col(Contact.id)))).all())
