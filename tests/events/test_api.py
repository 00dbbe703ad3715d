"""API of events and registrations."""

from fastapi import FastAPI
from httpx2 import AsyncClient

from app.events.models import Event
from app.events.service import ALL_SEATS_TAKEN
from opportune.db import Database
from opportune.testing import RecordedJobs, add_permission, make_user, signed_in_client
from tests.events.conftest import ADA, MakeEvent, add_registration, find_cancel_path, read_registrations

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
    await add_registration(database, tea)
    response = await client.get(f"{EVENTS}/tea")
    assert response.json().items() >= {"title": "Tea", "is_online": True, "seats_left": 2, "closed": ""}.items()
    assert "meet.example.com" not in response.text
    assert "ada" not in response.text.lower()
    assert (await client.get(f"{EVENTS}/tea/registrations")).status_code == 401


async def test_attendees_need_permission(app: FastAPI, database: Database, tea: Event, make_event: MakeEvent) -> None:
    await add_registration(database, await make_event("cake"), "Eve")
    for name in ("bob", "Ada"):
        await add_registration(database, tea, name)
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
    await add_registration(database, await make_event("full", capacity=1), "Bob")
    response = await client.post(f"{EVENTS}/full/registrations", json=ADA)
    assert (response.status_code, response.json()["detail"]) == (409, ALL_SEATS_TAKEN)


async def test_response_hides_existing_registration(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, tea: Event
) -> None:
    responses = [await client.post(f"{EVENTS}/tea/registrations", json=ADA) for _ in range(2)]
    assert [response.status_code for response in responses] == [202, 202]
    assert responses[0].json() == responses[1].json()
    assert [registration.name for registration in await read_registrations(database)] == ["Ada"]
    confirmation, notice = recorded_jobs.outbox
    assert (confirmation.to, "/cancel?token=" in confirmation.text) == ("ada@example.com", True)
    assert (notice.to, notice.subject != confirmation.subject) == ("ada@example.com", True)
    assert {email.to for email in recorded_jobs.outbox} == {"ada@example.com"}
    assert all(find_cancel_path(email).replace("&", "&amp;") in email.html for email in recorded_jobs.outbox)
