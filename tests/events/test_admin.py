"""Admin and API of events, their registrations and attendees."""

from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select

from app.events.models import Event
from app.events.service import ALL_SEATS_TAKEN
from opportune.config.settings import Settings
from opportune.db import Database
from opportune.testing import RecordedJobs, add_permission, make_user, signed_in_client
from tests.events import conftest
from tests.events.conftest import ADA, MakeEvent

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
    assert (await admin.post("/admin/event/create", data={**EVENT_FORM, "is_published": "y"})).status_code == 303
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
    ada, bob = (
        await conftest.add_registration(database, tea, "Ada"),
        await conftest.add_registration(database, tea, "Bob"),
    )
    page = await admin.get(ATTENDEES)
    form = f'action="/admin/registration/action/check-in?pks={ada.id}"><input type="hidden" name="form_user"'
    assert form in page.text
    assert (await admin.get(f"/admin/registration/action/check-in?pks={ada.id}")).status_code == 405
    assert (await admin.post("/admin/registration/action/check-in?pks=x")).status_code == 404
    bulk_action = f"/admin/registration/action/check-in?pks={ada.id},{bob.id}&search=a"
    response = await admin.post(bulk_action)
    assert response.headers["location"] == f"{ATTENDEES}?search=a"
    assert [registration.is_present for registration in await conftest.read_registrations(database)] == [True, True]
    response = await admin.post(f"/admin/registration/action/check-out?pks={bob.id}")
    assert response.headers["location"] == ATTENDEES
    assert [registration.is_present for registration in await conftest.read_registrations(database)] == [True, False]
    log = (await admin.get("/admin/audit-entry/export/json?identity=registration")).json()
    assert [entry["title"] for entry in log] == ["Ada", "Bob", "Bob"]
    assert log[-1]["changes"] == {"is_present": [True, False]}


async def test_deletion_removes_photos(
    admin: AsyncClient, recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    for model in ("registration", "event"):
        name = await recorded_jobs.context.storage.save("events", "jpg", conftest.make_picture((9, 9)), "image/jpeg")
        ada = await conftest.add_registration(database, tea, photo=name)
        url = f"/admin/{model}/delete?pks={tea.id if model == 'event' else ada.id}"
        assert (await admin.post(url, data={"confirmed": "yes"})).status_code == 303
        assert await conftest.read_registrations(database) == []
        await recorded_jobs.work()
        assert conftest.list_stored_files(settings) == [], model


EVENTS = "/api/v1/events"


async def test_anonymous_user_lists_events(client: AsyncClient, make_event: MakeEvent) -> None:
    for slug, days in [("tea", 1), ("cake", 2), ("soup", -3)]:
        await make_event(slug, days=days)
    response = (await client.get(f"{EVENTS}?size=1&page=2")).json()
    assert ([event["slug"] for event in response["items"]], response["total"], response["pages"]) == (["cake"], 2, 2)
    assert [event["slug"] for event in (await client.get(f"{EVENTS}?when=past")).json()["items"]] == ["soup"]
    for query in ("when=never", "page=0", "size=101", "q=%00", "nonsense=1"):
        assert (await client.get(f"{EVENTS}?{query}")).status_code == 422, query


async def test_event_hides_link_and_attendees(client: AsyncClient, database: Database, tea: Event) -> None:
    await conftest.add_registration(database, tea)
    response = await client.get(f"{EVENTS}/tea")
    assert response.json().items() >= {"title": "Tea", "is_online": True, "seats_left": 2, "closed": ""}.items()
    assert "meet.example.com" not in response.text
    assert "ada" not in response.text.lower()
    assert (await client.get(f"{EVENTS}/tea/registrations")).status_code == 401


async def test_attendees_need_permission(app: FastAPI, database: Database, tea: Event, make_event: MakeEvent) -> None:
    await conftest.add_registration(database, await make_event("cake"), "Eve")
    for name in ("bob", "Ada"):
        await conftest.add_registration(database, tea, name)
    doorkeeper, visitor = await make_user(database), await make_user(database, is_staff=True)
    await add_permission(database, doorkeeper, "registration", "list")
    async with signed_in_client(app, visitor) as client:
        assert (await client.get(f"{EVENTS}/tea/registrations")).status_code == 403
    async with signed_in_client(app, doorkeeper) as client:
        response = await client.get(f"{EVENTS}/tea/registrations")
        assert [person["name"] for person in response.json()["items"]] == ["Ada", "bob"]
        assert (await client.get(f"{EVENTS}/tea/registrations?size=0")).status_code == 422
        assert (await client.get(f"{EVENTS}/nothing/registrations")).status_code == 404


async def test_missing_and_draft_events_are_not_found(
    client: AsyncClient, recorded_jobs: RecordedJobs, make_event: MakeEvent
) -> None:
    await make_event("draft", is_published=False)
    for slug in ("draft", "nothing", "Tea", "%00", "a" * 81):
        assert (await client.get(f"{EVENTS}/{slug}")).status_code == 404, slug
        assert (await client.post(f"{EVENTS}/{slug}/registrations", json=ADA)).status_code == 404, slug


async def test_full_event_is_a_conflict(client: AsyncClient, database: Database, make_event: MakeEvent) -> None:
    await conftest.add_registration(database, await make_event("full", capacity=1), "Bob")
    response = await client.post(f"{EVENTS}/full/registrations", json=ADA)
    assert (response.status_code, response.json()["detail"]) == (409, ALL_SEATS_TAKEN)


async def test_response_hides_existing_registration(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, tea: Event
) -> None:
    responses = [await client.post(f"{EVENTS}/tea/registrations", json=ADA) for _ in range(2)]
    assert [response.status_code for response in responses] == [202, 202]
    assert responses[0].json() == responses[1].json()
    assert [registration.name for registration in await conftest.read_registrations(database)] == ["Ada"]
    confirmation, notice = recorded_jobs.outbox
    assert (confirmation.to, "/cancel?token=" in confirmation.text) == ("ada@example.com", True)
    assert (notice.to, notice.subject != confirmation.subject) == ("ada@example.com", True)
    assert {email.to for email in recorded_jobs.outbox} == {"ada@example.com"}
    assert all(conftest.find_cancel_path(email).replace("&", "&amp;") in email.html for email in recorded_jobs.outbox)
