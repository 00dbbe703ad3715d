"""Export and deletion of registrations by e-mail address."""

from app.events.models import Event
from app.events.personal import forget, list_photos, read
from opportune.db import Database
from opportune.feature import Person
from opportune.testing import RecordedJobs
from tests.events.conftest import add_registration, read_registrations

ADA, UNPROVEN = Person(1, "ada@example.com"), Person(1, "")


async def test_export_has_registrations_of_the_email(database: Database, tea: Event) -> None:
    await add_registration(database, tea, photo="events/one.webp", notes="Vegetarian")
    await add_registration(database, tea, "Bob")
    await add_registration(database, tea, "Nobody", email="")

    async with database.reader() as session:
        (row,) = (await read(session, ADA))["registrations"]
        assert (row["event"], row["name"], row["notes"]) == ("Tea", "Ada", "Vegetarian")
        assert await list_photos(session, ADA) == ["events/one.webp"]
        assert (await read(session, UNPROVEN))["registrations"] == []


async def test_deleted_user_frees_seats_and_photos(database: Database, tea: Event, recorded_jobs: RecordedJobs) -> None:
    await add_registration(database, tea, photo="events/one.webp")
    await add_registration(database, tea, "Bob")
    database.info["jobs"] = recorded_jobs

    for person in (UNPROVEN, ADA):
        async with database.writer() as session:
            await forget(session, person)

    assert [registration.name for registration in await read_registrations(database)] == ["Bob"]
    assert recorded_jobs.names == ["jobs.delete_files"]
    assert recorded_jobs.calls[0].arguments == (["events/one.webp"],)
