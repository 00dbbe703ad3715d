"""Pages of events: list, registration and cancellation."""

import re
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from playwright.async_api import Page, expect

from app.events import dependencies, pages
from app.events.models import Event
from app.events.registrations import make_token
from app.events.service import ALL_SEATS_TAKEN, REGISTRATION_ENDED
from opportune.config.settings import Settings
from opportune.config.site_settings import DEFAULT_MAX_UPLOAD_BYTES
from opportune.db import Database
from opportune.testing import RecordedJobs
from opportune.web.forms.uploads import too_large_message
from tests.events import conftest
from tests.events.conftest import ADA, MakeEvent

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


def seats_left(html: str) -> list[str]:
    """Return the number of free seats of each event that is open."""
    return re.findall(r'<span class="badge [^>]*>\D*(\d+)', html)


def main_of(html: str) -> str:
    return html.partition("<main")[2].partition("</main>")[0]


async def test_list_separates_upcoming_and_past_events(client: AsyncClient, make_event: MakeEvent) -> None:
    await make_event("tea", title="Tea & <Cake>", place="Fig Street")
    await make_event("soup", days=-3)
    upcoming, past = await client.get("/events"), await client.get("/events?when=past&q=")
    assert "Tea &amp; &lt;Cake&gt;" in upcoming.text
    assert "Fig Street" in upcoming.text
    assert seats_left(upcoming.text) == ["50"]
    assert "Soup" not in upcoming.text
    assert "Soup" in past.text
    assert seats_left(past.text) == []


async def test_invalid_form_keeps_the_values(client: AsyncClient, tea: Event, recorded_jobs: RecordedJobs) -> None:
    assert (await client.get("/events?q=t", headers=HTMX)).text.lstrip().startswith('<section id="found"')
    sent = {"name": "<Ada>", "email": "nobody", "question": "Milk\nand sugar?"}
    response = await client.post("/events/tea", data=sent)
    assert response.status_code == 422
    assert 'value="&lt;Ada&gt;"' in response.text
    assert "Milk\nand sugar?</textarea>" in response.text
    assert 'id="email-error"' in response.text
    part = await client.post("/events/tea", data=sent, headers=HTMX)
    assert part.text.lstrip().startswith("<form")
    assert recorded_jobs.calls == []
    assert (await client.post("/events/tea", data=ADA, files={"photo": ("", b"")})).status_code == 303
    assert recorded_jobs.names == ["mail.send"]


async def test_event_page_renders_safe_markdown(client: AsyncClient, make_event: MakeEvent) -> None:
    await make_event(description="**Cups**\n\n<script>alert(1)</script>", link="https://meet.example.com/tea")
    page = (await client.get("/events/tea")).text
    assert "<strong>Cups</strong>" in page
    assert "<script>alert" not in page
    assert "ti-video" in page
    assert "meet.example.com" not in page


async def test_registration_with_photo_sends_an_email(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    response = await client.post("/events/tea", data={**ADA, "question": "Milk?"}, files=conftest.make_photo_upload())
    assert (response.status_code, response.headers["location"]) == (303, "/events/tea/registered")
    assert (await client.get("/events/tea/registered")).status_code == 200
    assert seats_left((await client.get("/events/tea")).text) == ["2"]
    (ada,) = await conftest.read_registrations(database)
    assert (ada.name, ada.email, ada.question) == ("Ada", "ada@example.com", "Milk?")
    assert re.fullmatch(r"events/[0-9a-f]{32}\.webp", ada.photo)
    (email,) = recorded_jobs.outbox
    assert "https://meet.example.com/tea" in email.text
    assert recorded_jobs.names == ["mail.send"]
    assert (await client.post("/events/tea", data=ADA, files=conftest.make_photo_upload())).status_code == 303
    await recorded_jobs.work()
    assert len(conftest.list_stored_files(settings)) == 1, "the photo of a second registration is deleted"


async def test_rate_limit_comes_before_photo(client: AsyncClient, tea: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies.REGISTRATIONS_PER_IP, "limit", 0)
    monkeypatch.setattr(pages, "read_form", None)
    assert (await client.post("/events/tea", data=ADA, files=conftest.make_photo_upload())).status_code == 429


async def test_bots_and_frequent_registrations_are_refused(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    response = await client.post(
        "/events/tea", data={**ADA, "website": "https://spam.example"}, files=conftest.make_photo_upload()
    )
    assert (response.status_code, response.headers["location"]) == (303, "/events/tea/registered")
    assert (await conftest.read_registrations(database), recorded_jobs.calls, conftest.list_stored_files(settings)) == (
        [],
        [],
        [],
    )
    responses = [await client.post("/events/tea", data=ADA) for _ in range(6)]
    assert [response.status_code for response in responses] == [303] * 5 + [429]
    assert 'value="ada@example.com"' in responses[-1].text
    assert int(responses[-1].headers["Retry-After"]) > 0


async def test_closed_event_has_no_form(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, make_event: MakeEvent
) -> None:
    await conftest.add_registration(database, await make_event("full", capacity=1), "Bob")
    await make_event("begun", days=-0.01)
    for slug, words in (("full", ALL_SEATS_TAKEN), ("begun", REGISTRATION_ENDED)):
        page, response = (
            await client.get(f"/events/{slug}"),
            await client.post(f"/events/{slug}", data=ADA, files=conftest.make_photo_upload()),
        )
        assert words in page.text
        assert 'name="email"' not in page.text
        assert response.status_code == 409
        assert words in response.text
    assert recorded_jobs.calls == []
    assert conftest.list_stored_files(recorded_jobs.context.settings) == []


async def test_cancel_link_asks_for_confirmation(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, settings: Settings, tea: Event
) -> None:
    await client.post("/events/tea", data=ADA, files=conftest.make_photo_upload())
    await recorded_jobs.work()
    link = conftest.find_cancel_path(recorded_jobs.outbox[0])
    assert 'method="post"' in (await client.get(link)).text
    assert len(await conftest.read_registrations(database)) == 1
    result = await client.post(link, follow_redirects=True)
    (redirect,) = result.history
    assert (redirect.status_code, redirect.headers["location"]) == (303, f"?{redirect.url.query.decode()}")
    assert 'method="post"' not in main_of(result.text)
    assert await conftest.read_registrations(database) == []
    assert seats_left((await client.get("/events/tea")).text) == ["3"]
    await recorded_jobs.work()
    assert conftest.list_stored_files(settings) == []
    assert 'method="post"' not in main_of((await client.get(link)).text)


async def test_old_link_does_not_cancel_a_new_registration(
    client: AsyncClient, recorded_jobs: RecordedJobs, database: Database, tea: Event
) -> None:
    await client.post("/events/tea", data=ADA)
    old_link = conftest.find_cancel_path(recorded_jobs.outbox[0])
    await client.post(old_link)
    await client.post("/events/tea", data={"name": "Bob", "email": "bob@example.com"})
    await client.post(old_link)
    assert [registration.name for registration in await conftest.read_registrations(database)] == ["Bob"]


async def test_cancel_link_is_verified(client: AsyncClient, database: Database, settings: Settings, tea: Event) -> None:
    token = make_token(settings, await conftest.add_registration(database, tea))
    for invalid in ("", token[:-3], f"{token}x", "ü%00", "W10.abc"):
        assert (await client.get(f"/events/tea/cancel?token={invalid}")).status_code == 404, invalid
        assert (await client.post(f"/events/tea/cancel?token={invalid}")).status_code == 303
    assert len(await conftest.read_registrations(database)) == 1


async def test_started_event_cannot_be_cancelled(
    client: AsyncClient, database: Database, settings: Settings, make_event: MakeEvent
) -> None:
    ada = await conftest.add_registration(database, await make_event(days=-0.01))
    response = await client.post(f"/events/tea/cancel?token={make_token(settings, ada)}", follow_redirects=True)
    assert 'method="post"' not in main_of(response.text)
    assert len(await conftest.read_registrations(database)) == 1


async def test_invalid_upload_is_refused_at_its_field(
    client: AsyncClient, recorded_jobs: RecordedJobs, settings: Settings, tea: Event
) -> None:
    html = b"<!doctype html><script>alert(1)</script>"
    for content in (html, conftest.make_picture((9, 9)) + html, b"\xff\xd8\xff" + bytes(10_000_001)):
        response = await client.post("/events/tea", data=ADA, files=conftest.make_photo_upload(content))
        assert response.status_code == 422, content[:20]
        assert 'id="photo-error"' in response.text
        assert 'value="ada@example.com"' in response.text
    assert recorded_jobs.calls == []
    assert conftest.list_stored_files(settings) == []


async def test_visitor_finds_event_and_registers(
    page: Page, recorded_jobs: RecordedJobs, database: Database, make_event: MakeEvent, tmp_path: Path
) -> None:
    await make_event("tea", title="Tea for all", capacity=3)
    good, bad = tmp_path / "me.jpg", tmp_path / "page.jpg"
    good.write_bytes(conftest.make_picture())
    bad.write_bytes(b"<!doctype html>")
    await page.goto("/events")
    await page.get_by_role("link", name="Tea for all").click()
    await page.locator("[name=name]").fill("Ada")
    await page.locator("main [name=email]").fill("ada@example.com")
    await page.locator("[name=photo]").set_input_files(bad)
    register = page.locator("form:has([name=photo]) button.btn-primary")
    await register.click()
    await expect(page.locator("#photo-error")).to_be_visible()
    await expect(page.locator("[name=name]")).to_have_value("Ada")
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(DEFAULT_MAX_UPLOAD_BYTES + 1)
    await page.locator("[name=photo]").set_input_files(huge)
    assert await page.locator("[name=photo]").evaluate("field => field.validationMessage") == too_large_message()
    await page.locator("[name=photo]").set_input_files(good)
    await register.click()
    await expect(page).to_have_url(re.compile("/events/tea/registered$"))
    await recorded_jobs.work()
    assert [registration.photo[-5:] for registration in await conftest.read_registrations(database)] == [".webp"]
