"""Admin of events and their attendees."""

from httpx2 import AsyncClient
from sqlalchemy import select

from app.events.models import Event
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.testing import RecordedJobs
from tests.events.conftest import add_registration, list_stored_files, make_picture, read_registrations

ATTENDEES = "/admin/registration/list"
EVENT_FORM = {
    "title": "Çay & Python",
    "starts_at": "2030-05-01 16:00:00",
    "ends_at": "2030-05-01 17:00:00",
    "capacity": "5",
}
INVALID_CHANGES = [
    {"ends_at": "2030-05-01 15:00:00"},
    {"slug": "茶"},
    {"slug": "Tea"},
    {"link": "javascript:alert(1)"},
    {"capacity": "0"},
]


async def test_slug_is_made_from_the_title(admin: AsyncClient, database: Database) -> None:
    response = await admin.post("/admin/event/create", data={**EVENT_FORM, "is_published": "y"})
    assert response.status_code == 303
    assert (await admin.get("/events/cay-python")).status_code == 200
    await admin.post("/admin/event/create", data={**EVENT_FORM, "title": "茶", "is_published": "y"})
    assert (await admin.get("/events/event")).status_code == 200


async def test_invalid_event_is_refused(admin: AsyncClient, database: Database, tea: Event) -> None:
    for change in INVALID_CHANGES:
        response = await admin.post("/admin/event/create", data={**EVENT_FORM, **change})
        assert response.status_code == 400, change
        assert "invalid-feedback" in response.text, change
    async with database.reader() as session:
        assert len((await session.scalars(select(Event))).all()) == 1


async def test_attendees_are_checked_in_and_out(admin: AsyncClient, database: Database, tea: Event) -> None:
    ada, bob = await add_registration(database, tea, "Ada"), await add_registration(database, tea, "Bob")
    page = await admin.get(ATTENDEES)
    form = f'action="/admin/registration/action/check-in?pks={ada.id}"><input type="hidden" name="form_user"'
    assert form in page.text
    assert (await admin.get(f"/admin/registration/action/check-in?pks={ada.id}")).status_code == 405
    assert (await admin.post("/admin/registration/action/check-in?pks=x")).status_code == 404
    bulk_action = f"/admin/registration/action/check-in?pks={ada.id},{bob.id}&search=a"
    response = await admin.post(bulk_action)
    assert response.headers["location"] == f"{ATTENDEES}?search=a"
    assert [registration.is_present for registration in await read_registrations(database)] == [True, True]
    response = await admin.post(f"/admin/registration/action/check-out?pks={bob.id}")
    assert response.headers["location"] == ATTENDEES
    assert [registration.is_present for registration in await read_registrations(database)] == [True, False]
    log = (await admin.get("/admin/audit-entry/export/json?identity=registration")).json()
    assert [entry["title"] for entry in log] == ["Ada", "Bob", "Bob"]
    assert log[-1]["changes"] == {"is_present": [True, False]}


async def test_deletion_removes_photos(
    admin: AsyncClient, recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    for model in ("registration", "event"):
        name = await recorded_jobs.context.storage.save("events", "jpg", make_picture((9, 9)), "image/jpeg")
        ada = await add_registration(database, tea, photo=name)
        url = f"/admin/{model}/delete?pks={tea.id if model == 'event' else ada.id}"
        assert (await admin.post(url, data={"confirmed": "yes"})).status_code == 303
        assert await read_registrations(database) == []
        await recorded_jobs.work()
        assert list_stored_files(settings) == [], model
